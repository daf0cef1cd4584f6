"""Export of a result in a format of another program, verified by simulating what was written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from stpspec.config.compose import load
from stpspec.errors import ResultError, unknown_name
from stpspec.interop import bmtk_files, hoc_script, netpyne_script, python_script, sonata
from stpspec.interop.export_values import prepare
from stpspec.interop.preparation import Preparation
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
    traces = run_script(p, folder, python_script.command(p))
    return compare(p, traces, "Python and NEURON alone, in a fresh process")


def _hoc(p: Preparation, folder: Path) -> Comparison:
    traces = run_script(p, folder, hoc_script.command(p))
    return compare(p, traces, "HOC, in a fresh process")


class _Format(NamedTuple):
    """A format: what writes it, what verifies it, and why a gap junction has no place in it."""

    write: Callable[[Any, Path], list[str]]
    verify: Callable[[Any, Path], Comparison]
    lacks_gap_junctions: str = ""


_NET_CON = "what is written of a connection is a synapse that events reach through a NetCon"
_FORMATS = {
    "python": _Format(python_script.write, _python),
    "hoc": _Format(hoc_script.write, _hoc),
    "bmtk": _Format(bmtk_files.write, bmtk_files.verify, _NET_CON),
    "sonata": _Format(sonata.write, sonata.verify, _NET_CON),
    "netpyne": _Format(netpyne_script.write, netpyne_script.verify, _NET_CON),
}

FORMATS = tuple(_FORMATS)
_FIXED = ("the result has the variable step: what was exported has the fixed one of numerics.dt, "
          "and is compared with the result in that")  # fmt: skip


def _refuse_gap_junction(format: str) -> None:
    """Raise what says why a format holds no gap junction, and which formats do."""
    if reason := _FORMATS[format].lacks_gap_junctions:
        others = " or ".join(f"--format {n}" for n, f in _FORMATS.items()
                             if not f.lacks_gap_junctions)  # fmt: skip
        raise ResultError(f"a gap junction is not exported as {format}: {reason}; take {others}")


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
        If the format holds no such model, it cannot be written or, once written, does not run.
    """
    if format not in _FORMATS:
        raise unknown_name("format", format, FORMATS)
    experiment = load(result, trust=trust)
    if experiment.model.kind == "gap_junction":
        _refuse_gap_junction(format)
    prepared = prepare(experiment)
    write, verify, _ = _FORMATS[format]
    notes = [_FIXED] if experiment.numerics.integrator == "variable" else []
    target = write_folder(folder, lambda place: notes.extend(write(prepared, place)))
    comparison = verify(prepared, target)
    if not comparison.rows:
        raise ResultError(f"{target}: there is no metric by which it could be compared")
    return Exported(target, comparison, tuple(notes))
