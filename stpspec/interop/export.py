"""Export of a result in a format of another program, verified by simulating what was written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from stpspec.config.compose import load
from stpspec.errors import ResultError, unknown_name
from stpspec.interop import bmtk_files, hoc_script, netpyne_script, python_script, sonata
from stpspec.interop.preparation import Preparation, prepare
from stpspec.interop.verification import Comparison, compare, run_script
from stpspec.results.folder import write_folder


@dataclass(frozen=True)
class Exported:
    """What was written, and how it compares with the result.

    Attributes
    ----------
    folder : Path
    comparison : Comparison
    notes : tuple of str
    """

    folder: Path
    comparison: Comparison
    notes: tuple[str, ...]


def _python(p: Preparation, folder: Path) -> Comparison:
    traces = run_script(p, folder, python_script.command(folder))
    return compare(p, traces, "Python and NEURON alone, in a fresh process")


def _hoc(p: Preparation, folder: Path) -> Comparison:
    traces = run_script(p, folder, hoc_script.command(folder))
    return compare(p, traces, "HOC, in a fresh process")


_FORMATS: dict[
    str,
    tuple[Callable[[Preparation, Path], list[str]], Callable[[Preparation, Path], Comparison]],
] = {
    "python": (python_script.write, _python),
    "hoc": (hoc_script.write, _hoc),
    "bmtk": (bmtk_files.write, bmtk_files.verify),
    "sonata": (sonata.write, sonata.verify),
    "netpyne": (netpyne_script.write, netpyne_script.verify),
}

FORMATS = tuple(_FORMATS)


def export(result: str | Path, folder: Path, format: str, *, trust: bool = False) -> Exported:
    """Write a saved result for another program, simulate what was written, and compare.

    Parameters
    ----------
    result : str or Path
        Folder of a fit or a run; or any experiment, at the start of its parameters.
    folder : Path
        Must not exist, or be empty.
    format : {"python", "hoc", "bmtk", "sonata", "netpyne"}
    trust : bool
        Whether the code inside the result may be run.

    Raises
    ------
    UnknownNameError
        If there is no such format.
    ResultError
        If it cannot be written or, once written, does not run.
    """
    if format not in _FORMATS:
        raise unknown_name("format", format, FORMATS)
    prepared = prepare(load(result, trust=trust))
    write, verify = _FORMATS[format]
    notes: list[str] = []
    target = write_folder(folder, lambda place: notes.extend(write(prepared, place)))
    comparison = verify(prepared, target)
    if not comparison.rows:
        raise ResultError(f"{target}: there is no metric by which it could be compared")
    return Exported(target, comparison, tuple(notes))
