"""Drafts: files and folders that take their name when they are whole, and those of the dead."""

from __future__ import annotations

import contextlib
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from stpspec.resources.processes import has_ended, process_name


def draft_of(path: Path) -> Path:
    """Return a path beside another that nobody else has, and that says whose it is."""
    owner = process_name().replace(":", ",")
    return path.with_name(f".{path.stem[:80]}~{owner}~{secrets.token_hex(4)}{path.suffix}")


@contextlib.contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Yield the path of a new file, which takes the place of another in one piece.

    A folder of others may hold a link where a file is to be written: it is replaced, not followed.
    """
    draft = draft_of(path)
    draft.touch(exist_ok=False)
    try:
        yield draft
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def remove_drafts(folder: Path) -> None:
    """Remove what processes that were killed have left in a folder and in those inside it."""
    for draft in [*folder.glob(".*~*~*"), *folder.glob("*/.*~*~*")]:
        if not has_ended(draft.name.rsplit("~", 2)[1].replace(",", ":")):
            continue
        if draft.is_dir() and not draft.is_symlink():
            shutil.rmtree(draft, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)
