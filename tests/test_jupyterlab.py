"""The tuner in a real JupyterLab: a cell shows it, a key moves a slider, the next cell knows."""

import contextlib
import json
import os
import re
import subprocess
import sys
import time

import pytest
from tuner_page import WAIT, changed, chromium, slider, source, text_of, value_in

pytestmark = [pytest.mark.long, pytest.mark.needs("chromium")]

NOW = "trace synaptic_current"
TOKEN = "of-this-test"
CELLS = [
    'import stpspec\ntuner = stpspec.tune(stpspec.load("pvalb_pyr"))\ntuner',
    'print("start", tuner.experiment.parameters["U"].start)',
    "print(stpspec.fit(tuner.experiment).status)\ntuner.close()",
]
# No question about news from elsewhere, before anybody has asked for a page.
QUIET = {"fetchNews": "false", "checkForUpdates": False}


@contextlib.contextmanager
def jupyter_lab(folder):
    """Run JupyterLab in a folder that also has its settings; yield its address."""
    settings = folder / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text(json.dumps(QUIET))
    own = {
        "JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "IPYTHONDIR": "ipython",
        "JUPYTER_RUNTIME_DIR": "runtime", "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
    }  # fmt: skip
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", "--no-browser", "--ServerApp.ip=127.0.0.1",
             "--ServerApp.port=0", f"--IdentityProvider.token={TOKEN}",
             f"--ServerApp.root_dir={folder}", "--ServerApp.allow_root=True"],
            cwd=folder, stdout=log, stderr=log,
            env=os.environ | {name: str(folder / where) for name, where in own.items()},
        )  # fmt: skip
    try:
        yield _address(process, folder)
    finally:
        process.terminate()
        process.wait()


def _address(process, folder):
    """Return the address that the server has written, once it has a port."""
    end = time.monotonic() + 2 * WAIT / 1000
    while process.poll() is None and time.monotonic() < end:
        for file in folder.glob("runtime/jpserver-*.json"):
            with contextlib.suppress(ValueError):  # half written
                return json.loads(file.read_text())["url"]
        time.sleep(0.1)
    raise AssertionError((folder / "log").read_text()[-3000:])


def run_cell(page, number):
    """Run one cell, as its reader does: again, if the page was not ready for the keys."""
    cell = page.locator(".jp-Notebook .jp-CodeCell").nth(number)
    prompt = cell.locator(".jp-InputPrompt").first
    for _ in range(10):
        cell.locator(".cm-content").click()
        page.keyboard.press("Control+Enter")
        page.wait_for_timeout(2000)
        if prompt.inner_text().strip() not in ("[ ]:", ""):
            return cell
    raise AssertionError(f"the cell was not run: {prompt.inner_text()!r}")


def test_the_tuner_in_a_cell_of_jupyterlab(tmp_path):
    import nbformat  # takes 4 s, for which every run of the tests would wait

    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in CELLS])
    book.metadata["kernelspec"] = {
        "name": "python3", "display_name": "Python 3", "language": "python",
    }  # fmt: skip
    nbformat.write(book, tmp_path / "tuned.ipynb")
    with jupyter_lab(tmp_path) as address, chromium() as browser:
        page = browser.new_context(viewport={"width": 1920, "height": 1080}).new_page()
        page.set_default_timeout(2 * WAIT)
        page.goto(f"{address}lab/tree/tuned.ipynb?token={TOKEN}")
        page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").first.wait_for()
        cell = run_cell(page, 0)
        handle = cell.locator("iframe").element_handle()
        frame = handle.content_frame()
        frame.get_by_text("simulated in").wait_for()
        before, numbers = source(frame, NOW), text_of(frame, "aside")
        slider(frame, "U").press("ArrowRight")
        changed(frame, NOW, before)
        frame.wait_for_function("window.location.search.includes('parameters.U.start')")
        assert text_of(frame, "aside") != numbers
        assert value_in(frame, "U") > 0.475
        shown = run_cell(page, 1).locator(".jp-OutputArea-output", has_text="start")
        assert float(re.findall(r"start (\S+)", shown.inner_text())[0]) == value_in(frame, "U")
        run_cell(page, 2).locator(".jp-OutputArea-output", has_text="converged").wait_for()
