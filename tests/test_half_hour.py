"""A new user's first half hour, in one piece: commands in a shell, pages in a real Chromium."""

import contextlib
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from small import cli
from test_dashboard import dashboard
from tuner_page import (
    WAIT,
    chromium,
    commanded,
    eventually,
    metrics_shown,
    opened,
    slider,
    source,
    value_in,
)

import stpspec

pytestmark = [pytest.mark.long, pytest.mark.needs("chromium")]

README = Path(__file__).resolve().parent.parent / "README.md"
NOW = "trace synaptic_current"
_PRINTED = re.compile(r"^(\w+) +(-?\d[\d.e+-]*)(?: |$)", re.MULTILINE)  # a row of a table


@contextlib.contextmanager
def fitting(folder, *words):
    """Run a fit beside the browser; it is ended as a user does, by Ctrl-C."""
    process = subprocess.Popen(
        [sys.executable, "-m", "stpspec.cli", "fit", *words],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        stdin=subprocess.DEVNULL,
        # Whatever runs these tests may have Ctrl-C ignored, and then so would the fit.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def browser():
    with chromium() as made:
        yield made


def test_fit_watch_tune_save_run_and_report(browser, tmp_path):
    example = re.findall(r"```yaml[^\n]*\n(.*?)```", README.read_text("utf-8"), re.DOTALL)[0]
    (tmp_path / "depressing.yaml").write_text(example, encoding="utf-8")
    fit_and_watch(browser, tmp_path)
    tuned = tune_and_save(browser, tmp_path)
    run_what_was_saved(tmp_path, *tuned)
    open_the_report(browser, tmp_path)


def fit_and_watch(browser, folder):
    """Watch a long fit in the dashboard as its trials come in, and end it by Ctrl-C."""
    words = ("depressing.yaml", "fitter=tpe", "fitter.budget.evaluations=100000", "study=first",
             "--out", "my_fit")  # fmt: skip
    with fitting(folder, *words) as fit:
        journal = wait_for_file(fit, folder, "**/*.journal")
        with dashboard(journal, cwd=folder) as address:
            page = browser.new_page()
            page.set_default_timeout(WAIT)
            page.goto(address)
            page.get_by_text("Best Trial").first.wait_for()
            page.get_by_text("tau_rec").first.wait_for()
            with page.expect_response(
                lambda r: "/api/studies/" in r.url and r.json().get("trials"), timeout=WAIT
            ) as later:  # the page itself asks for what has come since
                pass
            assert later.value.json()["trials"]
            assert fit.poll() is None, "the fit ended before it was looked at"
            page.close()
        fit.send_signal(signal.SIGINT)
        printed, said = fit.communicate(timeout=120)
    assert fit.returncode in (0, 3, 130), said
    assert "files in my_fit" in printed
    assert (folder / "my_fit" / "result.nc").is_file()


def wait_for_file(process, folder, pattern):
    """Return the first file that a process writes under a name."""
    while process.poll() is None:
        for file in folder.glob(pattern):
            return file
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.1)
    raise AssertionError(process.stderr.read())


def tune_and_save(browser, folder):
    """Open the result in the tuner, move a slider, fit from there, save; return what is shown."""
    found = stpspec.FitResult.load(folder / "my_fit").parameters
    with commanded("tune", "my_fit", "fitter=least_squares", "--port", "0", cwd=folder) as address:
        page = opened(browser, address, viewport={"width": 1280, "height": 800})
        assert value_in(page, "U") == pytest.approx(found["U"])
        before = source(page, NOW)
        handle = slider(page, "U")
        for _ in range(30):
            handle.press("ArrowRight")
        moved = eventually(page, NOW, lambda y: y != before)
        assert value_in(page, "U") > found["U"]
        page.locator("aside").get_by_text("▼").first.wait_for()  # a target is missed
        page.get_by_role("button", name="Fit from here").click()
        page.get_by_text("converged").wait_for()
        page.locator("aside").get_by_text("✓ hit").nth(1).wait_for()  # both are hit again
        eventually(page, NOW, lambda y: y != moved)
        page.wait_for_url(re.compile("parameters.tau_rec.start"))
        with page.expect_download() as saving:
            page.get_by_text("Save as YAML").click()
        saving.value.save_as(folder / "tuned.yaml")
        trace = source(page, NOW)
        shown = metrics_shown(page), [max(trace), min(trace)], value_in(page, "U")
        page.context.close()
    return shown


def run_what_was_saved(folder, metrics, extremes, utilization):
    """Run the saved file: the metrics that the page has shown, to the digit."""
    tuned = stpspec.load(folder / "tuned.yaml")
    assert tuned.parameters["U"].start == pytest.approx(utilization, rel=1e-9)
    for command in ("check", "run"):
        done = cli(command, "tuned.yaml", *(["--out", "again"] if command == "run" else []),
                   cwd=folder)  # fmt: skip
        assert done.returncode == 0, done.stderr
    printed = dict(_PRINTED.findall(done.stdout))
    printed["paired_pulse_ratio"] = printed.pop("ppr")  # the name of its target
    assert len(metrics) >= 8
    common = metrics.keys() & printed.keys()
    assert {"paired_pulse_ratio", "recovery", "induction"} <= common
    assert {name: metrics[name] for name in common} == {name: printed[name] for name in common}
    tree = stpspec.simulate(tuned)
    current = tree["train"]["synaptic_current"]
    assert [float(current.max()), float(current.min())] == pytest.approx(extremes, rel=1e-6)


def open_the_report(browser, folder):
    """Open the report from the disk: whole, without a request, and fit to be printed."""
    done = cli("report", "my_fit", cwd=folder)
    assert done.returncode == 0, done.stderr
    page, asked, complaints = browser.new_page(), [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    address = (folder / "my_fit" / "report.html").as_uri()
    page.goto(address)
    page.get_by_role("heading", name="Asked and achieved").wait_for()
    shown = page.locator("svg").count()
    assert shown >= 3  # targets, traces, path
    assert "stpspec fit" in page.locator("body").inner_text()
    assert asked == [address]
    assert complaints == []
    assert page.pdf().startswith(b"%PDF")
    page.close()
