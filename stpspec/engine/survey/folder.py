"""Survey of folders of .mod files: each file in a child process, so that none blocks others."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from stpspec.engine.child import Child, ChildEndedError
from stpspec.engine.mechanisms import nmodl
from stpspec.engine.mechanisms.mod_file import ModFile
from stpspec.engine.survey.point_process import survey_file
from stpspec.engine.survey.record import PointProcessRecord, Survey
from stpspec.errors import MechanismError, StpspecError
from stpspec.resources import expanded

_PATIENCE = 300.0  # s for one file
_MOST = 4  # processes


def mod_files(paths: Sequence[Path]) -> list[Path]:
    """Return the .mod files of some folders and files, as nrnivmodl would take them.

    A folder that holds none itself stands for all that is below it.

    Raises
    ------
    MechanismError
        If there is no such file or folder, or no .mod file in it.
    """
    found: list[Path] = []
    for path in paths:
        place = expanded(path)
        if not place.exists():
            raise MechanismError(f"no file or folder {str(path)!r}")
        if place.is_file():
            if place.suffix != ".mod":
                raise MechanismError(f"{path} is no .mod file")
            inner = [place]
        else:
            inner = _visible(place.glob("*.mod")) or _visible(place.rglob("*.mod"))
            if not inner:
                raise MechanismError(f"the folder {path} holds no .mod file")
        found += [p for p in inner if p not in found]
    return found


def _visible(paths: object) -> list[Path]:
    return sorted(p for p in paths if p.is_file() and not p.name.startswith("."))  # pyright: ignore


def survey(paths: Sequence[Path], progress: Callable[[str], object] | None = None) -> Survey:
    """Survey the point processes of some folders and files.

    Parameters
    ----------
    paths : sequence of Path
    progress : callable, optional
        Called with the name of each file once it is done.

    Raises
    ------
    MechanismError
        As :func:`mod_files`.
    """
    files = mod_files(paths)
    contents = nmodl.read_all(files)
    others = {p: _other(c) for p, c in contents.items() if c.kind != "POINT_PROCESS"}
    failures = {p: f"{p}: no SUFFIX, POINT_PROCESS or ARTIFICIAL_CELL in this file"
                for p in others if not contents[p].name}  # fmt: skip
    asked = [p for p in files if p not in others]
    surveyors = threading.local()
    opened: list[Child] = []

    def one(path: Path) -> PointProcessRecord | str:
        surveyor = getattr(surveyors, "of_thread", None)
        if surveyor is None:
            surveyor = surveyors.of_thread = _Surveyor()
            opened.append(surveyor.child)
        answer = surveyor.ask(path, contents[path].name)
        if progress is not None:
            progress(path.name)
        return answer

    n = max(1, min(_MOST, os.cpu_count() or 1, len(asked)))
    try:
        with ThreadPoolExecutor(n) as pool:
            answers = dict(zip(asked, pool.map(one, asked), strict=True))
    finally:
        for child in opened:
            child.close()
    return Survey(
        tuple(a for a in answers.values() if isinstance(a, PointProcessRecord)),
        {str(p): what for p, what in others.items() if p not in failures},
        {str(p): t for p, t in (failures | answers).items() if isinstance(t, str)},
    )


def _other(content: ModFile) -> str:
    if content.kind == "ARTIFICIAL_CELL":
        return "an artificial cell"
    return "functions" if content.name == "nothing" else "a density mechanism"


class _Surveyor:
    """A child process, and the names of the mechanisms that it has loaded."""

    def __init__(self) -> None:
        self.child, self._names = Child(), set[str]()

    def ask(self, path: Path, name: str) -> PointProcessRecord | str:
        """Return what a file is, or why it cannot be used."""
        if name in self._names:  # of another file: no process can load both
            self.child.rest()
            self._names.clear()
        self._names.add(name)
        try:
            return self.child.ask(survey_file, path.resolve(), limit=_PATIENCE)
        except ChildEndedError as error:
            self._names.clear()
            return f"it ended the process that had loaded it: {error}"
        except TimeoutError:
            self._names.clear()
            return f"it was stopped after {_PATIENCE:g} s"
        except StpspecError as error:
            return str(error)
