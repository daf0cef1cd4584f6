"""Programs of the system that some tests need: without one they skip before they begin anything.

A test says so by ``@pytest.mark.needs("chromium")``; conftest.py asks before any fixture is set up,
so that a test that skips leaves no process and no pipe behind.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

# What a test calls it → the commands it may have, and the Debian package that brings it.
PROGRAMS = {
    "chromium": (("chromium", "chromium-browser", "google-chrome"), "chromium"),
    "fish": (("fish",), "fish"),
    "git": (("git",), "git"),
    "localedef": (("localedef",), "locales"),
    "postgresql": (("initdb", "pg_lsclusters"), "postgresql"),
    "zsh": (("zsh",), "zsh"),
}


def path_of(name: str) -> str | None:
    """Return the path of a program; None if it is not installed."""
    commands, _ = PROGRAMS[name]
    return next(filter(None, map(shutil.which, commands)), None)


def require(name: str) -> None:
    """Skip the test where a program is not installed.

    Where CI has set STPSPEC_CI everything can be installed, so that a missing one fails.
    """
    if path_of(name) is None:
        reason = f"{name} is not installed (Debian, Ubuntu: apt-get install {PROGRAMS[name][1]})"
        if os.environ.get("STPSPEC_CI"):
            pytest.fail(reason)
        pytest.skip(reason)


def postgresql_folder() -> Path:
    """Return the folder of initdb and pg_ctl; Debian has pg_lsclusters on the path, and not them.

    A server that is installed without Debian's tools is found by the path alone.
    """
    if initdb := shutil.which("initdb"):
        return Path(initdb).resolve().parent
    return max(Path("/usr/lib/postgresql").glob("*/bin/initdb")).parent


def tracked(*folders: str) -> list[str]:
    """Return the files that git tracks or would track; a copy without its history is no checkout.

    Parameters
    ----------
    *folders : str
        Of the repository; all of them by default.
    """
    require("git")
    root = Path(__file__).resolve().parent.parent
    done = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *folders],
        cwd=root, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        pytest.skip("not a git checkout")
    return [name for name in done.stdout.splitlines() if (root / name).exists()]


def page_in_browser(url: str, milliseconds: int = 8000) -> str:
    """Return what a headless Chromium makes of a page, as HTML."""
    chromium = path_of("chromium")
    assert chromium is not None, 'mark the test @pytest.mark.needs("chromium")'
    done = subprocess.run(
        [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1400,2400",
         f"--virtual-time-budget={milliseconds}", "--dump-dom", url],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout
