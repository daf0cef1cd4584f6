"""Use of parameters in the equations of a .mod file: in kinetics, or where events arrive."""

from __future__ import annotations

from pathlib import Path

from stpspec.engine.mechanisms import linear_kinetics, nmodl, syntax


def uses(path: Path) -> dict[str, set[str]]:
    """Return name → where it is used: "kinetics" (each step), "events" (NET_RECEIVE).

    Empty without a parser (NEURON 8), or where it does not understand the file.
    """
    is_readable = syntax.available()
    program = syntax.trees({path: nmodl.expanded(path)}).get(path) if is_readable else None
    if program is None:
        return {}
    found: dict[str, set[str]] = {}
    for where, kinds in (
        ("events", ("NetReceiveBlock",)),
        ("kinetics", ("DerivativeBlock", "KineticBlock", "BreakpointBlock")),
    ):
        blocks = linear_kinetics.reached(program, list(program.walk(*kinds)))
        for name in {n for block in blocks for n in block.names()}:
            found.setdefault(name, set()).add(where)
    return found
