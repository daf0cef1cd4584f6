"""Description of a loaded point process: parameters, units, states, currents."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stpspec.engine import nrn
from stpspec.engine.mechanisms.library import artificial_cells, is_ours, loaded_names
from stpspec.errors import MechanismError, unknown_name


@dataclass(frozen=True)
class Mechanism:
    """What a loaded POINT_PROCESS says of itself.

    Attributes
    ----------
    parameters : dict of str to str
        Name → unit, RANGE and GLOBAL parameters alike.
    global_parameters : frozenset of str
        Those shared by every instance in the process.
    states, assigned : frozenset of str
        STATE and ASSIGNED variables that can be recorded.
    variable_units : dict of str to str
        Name → unit of the variables that can be recorded.
    defaults : dict of str to float
    limits : dict of str to (float, float)
        As declared in the source; NEURON does not enforce them.
    """

    name: str
    parameters: dict[str, str]
    global_parameters: frozenset[str]
    states: frozenset[str]
    assigned: frozenset[str]
    variable_units: dict[str, str]
    defaults: dict[str, float]
    limits: dict[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def recordable(self) -> list[str]:
        """Names of the variables that can be recorded."""
        return sorted(self.states | self.assigned)

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Mechanism:
        """Return the description that was sent as JSON, which has neither sets nor tuples."""
        sets = ("global_parameters", "states", "assigned")
        limits = {name: (low, high) for name, (low, high) in data["limits"].items()}
        return cls(**{**data, **{name: frozenset(data[name]) for name in sets}, "limits": limits})


@functools.cache
def describe(name: str) -> Mechanism:
    """Return what a loaded POINT_PROCESS says of itself.

    Raises
    ------
    MechanismError
        If no point process of this name is loaded.
    """
    h = nrn.hoc()
    if name not in _point_processes():
        own = [n for n in _point_processes() if is_ours(n)] + ["ExpSyn", "Exp2Syn"]
        for sort, what in enumerate(("a density mechanism", "an artificial cell")):
            if name in loaded_names(sort):  # point processes are not among those of sort 1 here
                raise MechanismError(
                    f"{name} is {what}; a synapse or a gap junction is a POINT_PROCESS on a cell. "
                    f"Known: {', '.join(sorted(own))}."
                )
        raise MechanismError(str(unknown_name("mechanism (POINT_PROCESS)", name, own)))
    values = {kind: _variables(name, kind) for kind in (1, 2, 3, -1)}
    shared = {n.removesuffix(f"_{name}"): v for n, v in values[-1].items()}
    units = {n: str(h.units(f"{name}.{n}")) for n in values[1]}
    units |= {n: str(h.units(f"{n}_{name}")) for n in shared}
    return Mechanism(
        name,
        units,
        frozenset(shared),
        frozenset(values[3]),
        frozenset(values[2]),
        {n: str(h.units(f"{name}.{n}")) for n in sorted({*values[2], *values[3]})},
        values[1] | {n: float(getattr(h, f"{n}_{name}")) for n in shared},
    )


def _point_processes() -> list[str]:
    artificial = artificial_cells()
    return [name for name in loaded_names(1) if name not in artificial]


def _variables(name: str, kind: int) -> dict[str, float]:
    h = nrn.hoc()
    standard, text = h.MechanismStandard(name, kind), h.ref("")
    found = {}
    for index in range(int(standard.count())):
        size = int(standard.name(text, index))
        if size == 1:
            found[text[0]] = float(standard.get(text[0])) if kind != -1 else 0.0
    return found
