"""The folders and files that begin as the word at the cursor."""

from __future__ import annotations

import os

from stpspec.cli.verb import Candidates
from stpspec.resources import expanded


def paths(current: str, endings: tuple[str, ...]) -> Candidates:
    """Return the folders, and the files with one of the endings, that begin like this."""
    typed, _, begin = current.rpartition("/")
    typed += "/" if "/" in current else ""
    try:
        entries = sorted(os.scandir(expanded(typed or ".")), key=lambda e: e.name)
    except OSError:
        return {}
    found = {}
    for entry in entries:
        if entry.name.startswith(".") > begin.startswith(".") or not entry.name.isprintable():
            continue
        if entry.is_dir():
            found[f"{typed}{entry.name}/"] = "folder"
        elif endings and entry.name.endswith(endings):
            found[f"{typed}{entry.name}"] = "file"
    return found
