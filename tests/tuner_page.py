"""The tuner's page in a real Chromium: opened, moved by keys, and timed from key to paint."""

from __future__ import annotations

import contextlib
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from programs import path_of

import stpspec
from stpspec.tuner.server import TunerServer

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

WAIT = 30_000  # ms; the machine may be busy

# Time from the key on a slider to the frame after the figure has drawn the new trace.
_CLOCK = """
(signal) => {
  window.moves = []
  if (window.isTimed) return
  window.isTimed = true
  const model = Bokeh.documents[0].get_model_by_name("trace " + signal)
  const plot = Bokeh.documents[0].get_model_by_name(signal)
  const view = Bokeh.index.find_one(plot)
  let began = null, changed = false
  const begin = (event) => { began = event.timeStamp; changed = false }
  document.addEventListener("keydown", begin, true)
  model.properties.data.change.connect(() => { changed = began != null })
  const paint = view._actual_paint.bind(view)
  view._actual_paint = () => {
    paint()
    if (changed) {
      const start = began
      began = null; changed = false
      requestAnimationFrame(() => window.moves.push(performance.now() - start))
    }
  }
}
"""


# While figures are exchanged there may be two of one name: the later one is meant.
_SOURCE = """
([name, column]) => {
  const all = [...(globalThis.Bokeh?.documents[0]?._all_models.values() ?? [])]
  const models = all.filter((m) => m.name === name)
  models.sort((a, b) => parseInt(a.id.slice(1)) - parseInt(b.id.slice(1)))
  return Array.from(models.at(-1)?.data[column] ?? [])
}
"""
_TEXT = """
(part) => {
  const text = (node) => {
    if (node.nodeType === 3) return node.data
    if (node.nodeName === "STYLE") return ""
    const inside = [...(node.shadowRoot?.childNodes ?? []), ...node.childNodes]
    return inside.map(text).join("") + "\\n"
  }
  return text(part)
}
"""


@contextlib.contextmanager
def served(*args: object, **settings: object) -> Iterator[TunerServer]:
    """Serve a tuner while inside."""
    server = TunerServer(*args, **settings)
    server.begin()
    try:
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Begin Debian's Chromium; no browser is downloaded."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path_of("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        try:
            yield browser
        finally:
            browser.close()


def opened(
    browser: Browser,
    address: str,
    watch: Callable[[Page], None] = lambda page: None,
    **settings: object,
) -> Page:
    """Open the page and wait for the first trace; ``watch`` takes the page before it is loaded."""
    page = browser.new_context(**settings).new_page()
    page.set_default_timeout(WAIT)
    watch(page)
    page.goto(address)
    page.get_by_text("simulated in").wait_for()
    return page


def latencies(page: Page, knob: str, signal: str, moves: int = 50) -> list[float]:
    """Return the milliseconds from key to paint of some moves of a slider."""
    handle = slider(page, knob)
    handle.focus()
    page.evaluate(_CLOCK, signal)
    for k in range(moves):
        handle.press("ArrowRight" if k < moves // 2 else "ArrowLeft")
        page.wait_for_function(f"window.moves.length > {k}")
    return page.evaluate("window.moves")


def slider(page: Page, knob: str):
    """Return the handle of a knob's slider."""
    title = page.locator(".bk-slider-title").filter(has_text=re.compile(rf"^{knob}\b"))
    return page.locator(".bk-input-group").filter(has=title).locator(".noUi-handle").first


def box(page: Page, knob: str):
    """Return the number box beside a knob's slider."""
    title = page.locator(".bk-slider-title").filter(has_text=re.compile(rf"^{knob}\b"))
    row = page.locator(".bk-Row").filter(has=title).last
    return row.locator("input[type=text]")


def tab(page: Page, title: str):
    """Return the button of a tab."""
    return page.locator("main").get_by_role("button", name=title, exact=True)


def source(page: Page, name: str, column: str = "y") -> list[float]:
    """Return a column of what a figure draws; nothing while there is no such figure."""
    return page.evaluate(_SOURCE, [name, column])


def text_of(page: Page, part: str) -> str:
    """Return all text of a part of the page, also that in shadow trees."""
    return page.locator(part).evaluate(_TEXT)


def eventually(
    page: Page, name: str, condition: Callable[[list], bool], column: str = "y"
) -> list[float]:
    """Wait until what a figure draws is as a function says; return it."""
    end = time.monotonic() + WAIT / 1000
    while time.monotonic() < end:
        values = source(page, name, column)
        if condition(values):
            return values
        page.wait_for_timeout(50)
    raise AssertionError(f"{name} does not become what was expected, but {values[:5]} …")


def changed(page: Page, name: str, before: list[float]) -> list[float]:
    """Wait for another trace than before; return it."""
    return eventually(page, name, lambda y: y != before)


def same(one: list[float], other: list[float]) -> bool:
    """Tell whether two traces are of the same values, each by a process with a past of its own.

    What a process has simulated before shows in the last digits, and so in which samples are drawn.
    """
    if not one or not other:
        return False
    ends = [(max(y), min(y), y[-1]) for y in (one, other)]
    return all(abs(a - b) <= 1e-4 * abs(b) + 1e-6 for a, b in zip(*ends, strict=True))


def write(page: Page, knob: str, text: str) -> None:
    """Write into the number box of a knob."""
    box(page, knob).fill(text)
    box(page, knob).press("Enter")


def value_in(page: Page, knob: str) -> float:
    """Return what the number box of a knob holds."""
    return float(box(page, knob).input_value())


def metrics_shown(page: Page) -> dict[str, str]:
    """Return the metrics of the page as they are written there, without their units."""
    rows = page.locator("aside").get_by_role("row").all_inner_texts()
    pairs = (re.fullmatch(r"(\w+)\t(-?\d[\d.e+-]*)\s?\S*(?: \S+)?", row.strip()) for row in rows)
    return {pair[1]: pair[2] for pair in pairs if pair is not None}


@contextlib.contextmanager
def commanded(*words: str, cwd: Path) -> Iterator[str]:
    """Run a command that serves a page while inside; yield the address that it prints."""
    process = subprocess.Popen(
        [sys.executable, "-m", "stpspec.cli", *words],
        cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.communicate()


def median(values: list[float]) -> float:
    """Return the median."""
    return statistics.median(values)


def picture(file: str, theme: str = "default", size: tuple[int, int] = (1280, 800)) -> None:
    """Take the picture of docs/tuner.md: a synapse that is moved, with a trace that is kept."""
    from PIL import Image

    width, height = size
    connections = {"pvalb_pyr": stpspec.load("pvalb_pyr", ["fitter.start=given"])}
    with served(connections) as server, chromium() as browser:
        page = opened(browser, f"{server.address}?theme={theme}",
                      viewport={"width": width, "height": height})  # fmt: skip
        page.get_by_role("button", name="Keep trace").click()
        page.wait_for_timeout(2000)
        write(page, "U", "0.3")
        page.wait_for_url(re.compile("state="))
        page.wait_for_timeout(2000)
        page.screenshot(path=file)
    with Image.open(file) as taken:  # a page has few colors
        taken.quantize(128).save(file, optimize=True)


if __name__ == "__main__":  # python tests/tuner_page.py docs/images/tuner.png
    picture(sys.argv[1])
