"""Voltage of the other side of a gap junction: given by a POINTER, or transferred to a variable.

NEURON has two ways, and a mechanism is written for one of them. A POINTER reads the voltage where
it is. A RANGE variable is filled at each step, from ``ParallelContext.source_var`` to
``target_var``; this needs no second process. NEURON forgets all transfers or none, so that those
that are in use are registered again when others end.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from stpspec.engine import nrn
from stpspec.engine.hoc_types import PointProcess, Section
from stpspec.engine.mechanisms import nmodl
from stpspec.engine.mechanisms.description import Mechanism, describe
from stpspec.errors import MechanismError

_TRANSFERS = 4  # what ParallelContext.gid_clear is to forget


class _Transfer(NamedTuple):
    point: PointProcess
    variable: str
    section: Section
    position: float


_in_use: list[_Transfer] = []
_ids = itertools.count()  # of the process: two transfers of one number are one


def is_transferred(told: Mechanism, variable: str) -> bool:
    """Tell whether a variable is filled by a transfer: it is RANGE, as no POINTER is."""
    return variable in told.recordable or variable in told.parameters


def holders(told: Mechanism, source: Path, asked: str) -> tuple[str, ...]:
    """Return what may hold the voltage of the other side: POINTERs, and what no equation sets.

    Parameters
    ----------
    told : Mechanism
    source : Path
    asked : str
        The name in the experiment; a PARAMETER may be meant by it, too.
    """
    content = nmodl.read(source)
    unset = content.inputs if content.parsed else tuple(sorted(told.assigned))
    is_parameter = asked in told.parameters and asked not in told.global_parameters
    return (*content.pointers, *unset, *((asked,) if is_parameter else ()))


def chosen(told: Mechanism, source: Path | None, asked: str, usual: str) -> str:
    """Return the variable for the voltage of the other side: as asked, or the only one there is.

    The only one is taken where no other name than the usual is asked for.
    """
    if source is None or asked != usual:
        return asked
    units = told.variable_units
    found = [n for n in holders(told, source, asked) if units.get(n, "mV") == "mV"]
    return found[0] if len(found) == 1 else asked


def connect(point: PointProcess, variable: str, section: Section, position: float) -> None:
    """Give a gap junction the voltage of the other side.

    Where it is transferred, :func:`complete` follows once all are connected.

    Raises
    ------
    MechanismError
        If it has no such POINTER or RANGE variable.
    """
    mechanism = point.hname().partition("[")[0]
    if is_transferred(describe(mechanism), variable):
        transfer = _Transfer(point, variable, section, position)
        _register(transfer)
        _in_use.append(transfer)
        return
    with nrn.border(MechanismError, f"model.partner_voltage: {mechanism} has no POINTER or RANGE "
                    f"variable {variable!r}"):  # fmt: skip
        nrn.hoc().setpointer(section(position)._ref_v, variable, point)


def complete() -> None:
    """Set up the transfers, if there are any."""
    if _in_use:
        nrn.parallel_context().setup_transfer()


def disconnect(points: Iterable[PointProcess]) -> None:
    """End the transfers to some gap junctions; NEURON stops where it fills one that is gone."""
    ended = list(points)
    kept = [t for t in _in_use if t.point not in ended]
    if len(kept) == len(_in_use):
        return
    nrn.parallel_context().gid_clear(_TRANSFERS)
    _in_use[:] = kept
    for transfer in kept:
        _register(transfer)
    complete()


def _register(transfer: _Transfer) -> None:
    context, number = nrn.parallel_context(), next(_ids)
    point, variable, section, position = transfer
    context.source_var(section(position)._ref_v, number, sec=section)
    context.target_var(point, getattr(point, f"_ref_{variable}"), number)
