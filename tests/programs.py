"""Programs of the system that some tests need: skipped with the reason here, missing in CI."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest


def needed(*names: str, package: str) -> str:
    """Return the path of the first program that is installed.

    Where CI has set STPSPEC_CI everything can be installed, so that a missing one fails.
    """
    for name in names:
        found = shutil.which(name) or next(map(str, sorted(Path("/usr/lib").glob(name))), None)
        if found:
            return found
    reason = f"{names[0]} is not installed (Debian, Ubuntu: apt-get install {package})"
    if os.environ.get("STPSPEC_CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def page_in_browser(url: str, milliseconds: int = 8000) -> str:
    """Return what a headless Chromium makes of a page, as HTML."""
    chromium = needed("chromium", "chromium-browser", "google-chrome", package="chromium")
    done = subprocess.run(
        [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1400,2400",
         f"--virtual-time-budget={milliseconds}", "--dump-dom", url],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout
