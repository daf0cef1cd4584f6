"""Sharing of data: mechanisms whose instances or runs influence each other, by their source."""

from __future__ import annotations

import re
from collections.abc import Iterator

from stpspec.engine.mechanisms import linear_kinetics
from stpspec.engine.mechanisms.syntax import Node

_STEP = frozenset({"dt", "_dt"})
_TIME = _STEP | {"t", "_t"}
_BY_STEPS = ("after_cvode", "cvode_t", "cvode_t_v")  # methods that follow the steps of CVODE
_EVERYWHERE = frozenset({"v", "celsius", "t", "dt", "area", "diam"})
_PROCEDURES = ("ProcedureBlock", "FunctionBlock")


def tabulated(program: Node) -> tuple[str, ...]:
    """Return the variables of an instance that a TABLE is made of."""
    made = [b for b in program.walk(*_PROCEDURES) if any(b.walk("TableStatement"))]
    blocks = linear_kinetics.reached(program, made)
    read = {name for block in blocks for name in block.names()}
    written = {name for block in blocks for name in linear_kinetics.assigned(block)}
    own = _of_instances(program) - _of_mechanism(program) - _EVERYWHERE
    return tuple(sorted(own & (read - written)))


def inputs(program: Node) -> tuple[str, ...]:
    """Return the variables of an instance that nothing in the file sets."""
    written = {n for b in program.children for n in linear_kinetics.assigned(b)}
    passed = {_name(c) for c in program.walk("NonspecificCurVar", "ElectrodeCurVar")}
    return tuple(sorted((_ranges(program) & _assigned(program)) - written - passed - _EVERYWHERE))


def written_globals(program: Node) -> tuple[str, ...]:
    """Return the variables that all instances share and that the file writes."""
    outermost = {_name(v) for b in program.children if b.kind == "LocalListStatement"
                 for v in b.walk("LocalVar")}  # fmt: skip
    written = {name for block in program.children for name in linear_kinetics.assigned(block)}
    return tuple(sorted((_of_mechanism(program) | outermost) & written))


def remembered(program: Node) -> tuple[str, ...]:
    """Return what an instance changes, and INITIAL does not set from what is given."""
    initial = [b for b in program.children if b.kind == "InitialBlock"]
    first = {n for b in linear_kinetics.reached(program, initial)
             for n in linear_kinetics.assigned(b)}  # fmt: skip
    every = {n for b in program.children for n in linear_kinetics.assigned(b)}
    receive = [b for b in program.children if b.kind == "NetReceiveBlock"]
    events = {n for b in linear_kinetics.reached(program, receive)
              for n in linear_kinetics.assigned(b)}  # fmt: skip
    assigned = _assigned(program)
    arguments = [_name(a) for b in receive for a in b.children if a.kind == "Argument"]
    changed = _parameters(program) & every | (assigned & events - first)
    return tuple(sorted(changed | set(arguments[:1]) & events))


def reads_time(program: Node) -> bool:
    """Tell whether a step depends on the time, or on how long it is.

    So it does where a factor for all steps is made of the length of the first: in INITIAL, say.
    """
    steps = _words(program, "BreakpointBlock", "BeforeBlock", "AfterBlock")
    between = _words(program, "InitialBlock", "NetReceiveBlock")
    return bool(
        steps & _TIME or between & _STEP or set(linear_kinetics.methods(program)) & set(_BY_STEPS)
    )


def _words(program: Node, *kinds: str) -> set[str]:
    """Return the names in some blocks, and in what they call, with the words of C code."""
    blocks = linear_kinetics.reached(program, list(program.walk(*kinds)))
    c = {w for b in blocks for v in b.walk("Verbatim") for w in re.findall(r"\w+", v.text)}
    return c | {name for b in blocks for name in b.names()}


def _of_instances(program: Node) -> set[str]:
    declared = {_name(d) for b in program.walk("AssignedBlock", "StateBlock") for d in b.children
                if d.kind == "AssignedDefinition"}  # fmt: skip
    return declared | _ranges(program)


def _assigned(program: Node) -> set[str]:
    return {_name(d) for b in program.walk("AssignedBlock") for d in b.children
            if d.kind == "AssignedDefinition"}  # fmt: skip


def _of_mechanism(program: Node) -> set[str]:
    """Return the names of which there is one for all instances: GLOBAL, and PARAMETERs as such."""
    one = {_name(node) for node in program.walk("GlobalVar")}
    return one | (_parameters(program) - _ranges(program) - set(_pointers(program)))


def _ranges(program: Node) -> set[str]:
    return {_name(node) for node in program.walk("RangeVar")}


def _parameters(program: Node) -> set[str]:
    return {_name(node) for node in program.walk("ParamAssign")} - _EVERYWHERE


def _pointers(program: Node) -> Iterator[str]:
    return map(_name, program.walk("PointerVar", "BbcorePointerVar"))


def _name(node: Node) -> str:
    return next(node.walk("Name")).text
