"""Places of results: a folder that another run may take in the meantime, or that fills its disk."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from stpspec.errors import ResultError
from stpspec.formatting import first_line
from stpspec.log import LogRecorder
from stpspec.results.folder import TakenError, identity, numbered

log = logging.getLogger("stpspec")


class Save(Protocol):
    """Writes a result into a folder, and returns its path."""

    def __call__(self, folder: Path, *, overwrite: bool) -> Path: ...


@dataclass(frozen=True)
class Place:
    """Where a result is to go.

    Attributes
    ----------
    folder : Path
    replaces : tuple of int, optional
        Identity of the result there that may be replaced.
    """

    folder: Path
    replaces: tuple[int, int] | None = None

    def save(self, write: Save, messages: LogRecorder) -> Path:
        """Write a result here; beside it, where another result has come here in the meantime.

        Raises
        ------
        ResultError
            If it cannot be written here; the message says where it is instead.
        """
        try:
            saved = self._write(write)
        except ResultError as error:
            raise ResultError(f"{error}; {self._elsewhere(write)}") from error
        if saved != self.folder:
            log.warning("another result has come to %s in the meantime: this one is in %s",
                        self.folder, saved)  # fmt: skip
        try:
            messages.write(saved)
        except OSError as error:
            log.warning("the log cannot be written to %s: %s", saved, first_line(error))
        return saved

    def _write(self, write: Save) -> Path:
        is_same = self.replaces is not None and identity(self.folder) == self.replaces
        if is_same:
            return write(self.folder, overwrite=True)
        for folder in numbered(self.folder):
            try:
                return write(folder, overwrite=False)
            except TakenError:
                continue
        raise ResultError(f"{self.folder} and all numbers after it are taken")

    def _elsewhere(self, write: Save) -> str:
        """Write a result anywhere, and say where; the numbers are worth more than their place."""
        for folder in self._last_resorts():
            try:
                return f"the result is in {Place(folder)._write(write)}"
            except (ResultError, OSError):
                continue
        return "nor could the result be written anywhere else"

    def _last_resorts(self) -> Iterator[Path]:
        yield Path("stpspec-results", "saved-elsewhere", self.folder.name)
        try:
            yield Path(tempfile.mkdtemp(prefix="stpspec-"), self.folder.name)
        except OSError:
            return
