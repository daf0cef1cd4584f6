"""Linear kinetics: mechanisms that a step of any size integrates exactly, as their source tells.

At a constant voltage ``cnexp`` is exact for a state that decays or relaxes by itself. It is not for
states that feed each other, nor for one that is not linear; and a long step passes over what
happens at a threshold, or at a time, within it. A comparison over a few events would miss all of
these where they grow with the number of events. So each is looked for, and what is not understood
counts as found.
"""

from __future__ import annotations

import graphlib
import math
from collections.abc import Iterator, Sequence, Set

from stpspec.engine.mechanisms.syntax import Node

# What could make a step inexact, or let the synapse see more than the voltage of its place.
_NEEDS_MORE = frozenset(
    {"dt", "net_send", "net_move", "net_event", "at_time", "area", "diam", "fabs", "floor", "ceil",
     "fmod"}
)  # fmt: skip
_BLOCKS_THAT_NEED_MORE = ("WatchStatement", "Include", "External", "BeforeBlock", "AfterBlock")
_BLOCKS = ("DerivativeBlock", "FunctionBlock", "ProcedureBlock")
_COMPARISONS = frozenset({"<", ">", "<=", ">=", "==", "!=", "&&", "||", "!"})
_BRACKETS = ("WrappedExpression", "ParenExpression", "VarName")
# All that is understood within a step; anything else needs the cell.
_UNDERSTOOD = frozenset(
    {"BreakpointBlock", *_BLOCKS, "StatementBlock", "Argument", "ExpressionStatement",
     "SolveBlock", "ConductanceHint", "LocalListStatement", "LocalVar", "TableStatement",
     "UnitState", "IfStatement", "ElseIfStatement", "ElseStatement", "WhileStatement",
     "FromStatement", "DiffEqExpression", "BinaryExpression", "BinaryOperator",
     "UnaryExpression", "UnaryOperator", *_BRACKETS, "FunctionCall", "Name", "PrimeName",
     "Integer", "Double", "DoubleUnit", "Unit", "LineComment", "BlockComment"}
)  # fmt: skip


def exact_in_any_step(program: Node) -> bool:
    """Tell whether the mechanism of a syntax tree is exact in steps of any size."""
    if program.names() & _NEEDS_MORE or any(program.walk(*_BLOCKS_THAT_NEED_MORE)):
        return False
    if any(method != "cnexp" for method in methods(program)):
        return False
    states = {n for block in program.walk("StateBlock") for n in block.names()}
    steps = _done_in_each_step(program)
    equations, values = [], []
    for name, right in (found for block in steps for found in assignments(block)):
        (equations if name.kind == "PrimeName" else values).append((name, right))
    named = [(name.text, right.names()) for name, right in values]
    if (
        any(node.kind not in _UNDERSTOOD for block in steps for node in block.walk())
        or any("t" in block.names() for block in steps)
        or _remembers(named)
        or states & {name for name, _ in named}
    ):
        return False
    moving = _moving(states, [*named, *_handed_over(steps)])
    return not any(moving & names for names in _compared(steps)) and all(
        _order(name) == "1" and _degree(right, name.text, moving) <= 1 for name, right in equations
    )


def methods(program: Node) -> list[str]:
    """Return the method of each SOLVE; an empty text where none is given."""
    return [
        solve.children[1].text if len(solve.children) > 1 else ""
        for solve in program.walk("SolveBlock")
    ]


def assigned(block: Node) -> set[str]:
    """Return the names to which a block assigns a value."""
    return {name.text for name, _ in assignments(block)}


def reached(program: Node, blocks: Sequence[Node]) -> list[Node]:
    """Return some blocks, and those of the program that they solve and call, directly or not."""
    named = {block.children[0].text: block for block in program.walk(*_BLOCKS)}
    found, waiting = list(blocks), list(blocks)
    while waiting:
        for name in sorted(waiting.pop().names() & set(named)):
            if named[name] not in found:
                found.append(named[name])
                waiting.append(named[name])
    return found


def _done_in_each_step(program: Node) -> list[Node]:
    return reached(program, list(program.walk("BreakpointBlock")))


def assignments(block: Node) -> Iterator[tuple[Node, Node]]:
    """Yield the name and the right side of each assignment; the name of an equation is primed."""
    for node in block.walk("BinaryExpression", "FromStatement"):
        if node.kind == "FromStatement":
            name, *bounds = node.children
            yield from ((name, bound) for bound in bounds if bound.kind != "StatementBlock")
            continue
        left, operator, right = node.children
        if operator.text == "=":
            yield next(left.walk("Name", "PrimeName")), right


def _handed_over(steps: Sequence[Node]) -> Iterator[tuple[str, set[str]]]:
    """Yield each argument of a procedure or function, and the names that a call hands over."""
    formals = {
        block.children[0].text: [c.children[0].text for c in block.children if c.kind == "Argument"]
        for block in steps
        if block.kind in _BLOCKS
    }
    for call in (call for block in steps for call in block.walk("FunctionCall")):
        name, *handed = call.children
        for formal, expression in zip(formals.get(name.text, ()), handed, strict=False):
            yield formal, expression.names()


def _compared(steps: Sequence[Node]) -> Iterator[set[str]]:
    """Yield the names on which it depends what is done, or that a table replaces by segments."""
    for node in (node for block in steps for node in block.walk()):
        if node.kind in ("IfStatement", "ElseIfStatement", "WhileStatement"):
            yield node.children[0].names()
        elif node.kind == "FromStatement":
            yield {name for c in node.children if c.kind != "StatementBlock" for name in c.names()}
        elif node.kind in ("BinaryExpression", "UnaryExpression"):
            if any(c.text in _COMPARISONS for c in node.children if c.kind.endswith("Operator")):
                yield node.names()
        elif node.kind in _BLOCKS and any(node.walk("TableStatement")):
            yield {name for c in node.children if c.kind == "Argument" for name in c.names()}


def _remembers(values: Sequence[tuple[str, Set[str]]]) -> bool:
    """Tell whether a value follows from what it was in the step before."""
    graph: dict[str, set[str]] = {}
    for name, names in values:
        graph.setdefault(name, set()).update(names)
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError:
        return True
    return False


def _moving(states: Set[str], values: Sequence[tuple[str, Set[str]]]) -> Set[str]:
    """Return the names whose values follow the states, directly or not."""
    moving, n = set(states), -1
    while len(moving) > n:
        n = len(moving)
        moving |= {name for name, names in values if moving & names}
    return moving


def _order(name: Node) -> str:
    """Return the order of the derivative that a primed name stands for."""
    return name.children[0].text if name.children else "1"


def _degree(node: Node, own: str, moving: Set[str]) -> float:
    """Return the degree of a right side in its own state; inf where another one moves in it."""
    below = node.children
    if node.kind == "Name":
        return 1 if node.text == own else math.inf if node.text in moving else 0
    if node.kind in _BRACKETS and len(below) == 1:
        return _degree(below[0], own, moving)
    if node.kind == "UnaryExpression" and below[0].text == "-":
        return _degree(below[1], own, moving)
    if node.kind == "BinaryExpression":
        a, b = _degree(below[0], own, moving), _degree(below[2], own, moving)
        match below[1].text:
            case "+" | "-":
                return max(a, b)
            case "*":
                return a + b
            case "/" if b == 0:
                return a
        return math.inf if a or b else 0
    return math.inf if node.names() & moving else 0
