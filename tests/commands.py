"""The command, run in the process of a test from a folder of its own."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any


def run_command(folder: Path, monkeypatch: Any, capsys: Any, *words: str) -> SimpleNamespace:
    """Run ``stpspec`` and return its exit code and what it wrote."""
    from stpspec.cli import main as command

    monkeypatch.chdir(folder)
    try:
        code = command.main(words)
    except SystemExit as ended:
        code = ended.code
    shown = capsys.readouterr()
    return SimpleNamespace(returncode=code, stdout=shown.out, stderr=shown.err)
