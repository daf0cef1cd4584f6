"""Which mechanisms a step of any size integrates exactly, as far as their text tells.

At a constant voltage ``cnexp`` is exact for a state that decays or relaxes by itself. It is not for
states that feed each other, nor for one that is not linear; and a long step passes over what
happens at a threshold, or at a time, within it. A comparison over a few events would miss all of
these where they grow with the number of events. So each is looked for, and what cannot be read
counts as found.
"""

from __future__ import annotations

import ast
import functools
import graphlib
import math
import re
from collections.abc import Iterator, Set

# What could make a step inexact, or let the synapse see more than the voltage of its place.
_NEEDS_MORE = re.compile(
    r"\b(dt|net_send|net_move|net_event|WATCH|at_time|INCLUDE|EXTERNAL|area|diam|BEFORE|AFTER|"
    r"fabs|floor|ceil|fmod)\b"
)
_METHOD = re.compile(r"\bSOLVE\s+\w+(?:\s+METHOD\s+(\w+))?")
_BLOCK = re.compile(
    r"\b(BREAKPOINT|STATE|(?:DERIVATIVE|PROCEDURE|FUNCTION)\s+(\w+))\s*"
    r"(\((?:[^()]|\([^()]*\))*\))?[^{}]*\{"
)
_ASSIGNED = re.compile(r"(\w+)\s*('?)\s*(?<![<>=!])=(?!=)")
_ENDS = re.compile(
    r"[{}]|\b(?:if|else|while|IF|ELSE|WHILE|SOLVE|LOCAL|TABLE|FROM|UNITSON|UNITSOFF)\b"
)
_CONDITION = re.compile(r"\b(?:if|while|IF|WHILE)\s*\(([^{}]*)")
_NAME = re.compile(r"\b[A-Za-z_]\w*")
_WITH_UNIT = re.compile(r"\b(\d[\d.]*(?:[eE][-+]?\d+)?)\s*\([^()]*\)")
_IN_BRACKETS = re.compile(r"\([^()]*\)|<[^<>]*>")


@functools.lru_cache(maxsize=256)
def exact_in_any_step(code: str) -> bool:
    """Tell whether a mechanism, its code without comments, is exact in steps of any size."""
    if not set(_METHOD.findall(code)) <= {"cnexp"} or _NEEDS_MORE.search(code):
        return False
    blocks, formals = _blocks(code)
    states = _names(_IN_BRACKETS.sub(" ", blocks.pop("STATE", "")))
    steps = _done_in_each_step(blocks)
    found = list(_assignments(steps))
    equations = [(name, rest) for name, prime, rest in found if prime]
    values = [(name, rest) for name, prime, rest in found if not prime]
    if (
        "t" in _names(steps)
        or "[" in steps
        or _remembers(values)
        or states & {n for n, _ in values}
    ):
        return False
    moving = _moving(states, [*values, *_handed_over(steps, formals)])
    at_threshold = any(moving & _names(condition) for condition in _CONDITION.findall(steps))
    return not at_threshold and all(_degree(rest, n, moving) <= 1 for n, rest in equations)


def _blocks(code: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return the bodies of the blocks that a step may need, and their arguments, by name."""
    bodies: dict[str, str] = {}
    formals: dict[str, str] = {}
    for match in _BLOCK.finditer(code):
        depth, end = 1, match.end()
        while depth and end < len(code):
            depth += {"{": 1, "}": -1}.get(code[end], 0)
            end += 1
        name = match[2] or match[1]
        bodies[name] = bodies.get(name, "") + "\n" + code[match.end() : end - 1]
        formals[name] = match[3] or ""
    return bodies, formals


def _done_in_each_step(blocks: dict[str, str]) -> str:
    """Return the text of BREAKPOINT, and of all that it solves and calls."""
    reached, waiting = dict.fromkeys(["BREAKPOINT"]), ["BREAKPOINT"]
    while waiting:
        for name in _names(blocks.get(waiting.pop(), "")) & set(blocks) - set(reached):
            reached[name] = None
            waiting.append(name)
    return "\n}\n".join(blocks.get(name, "") for name in reached)


def _assignments(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield (name, ' or nothing, what stands on the right) of each statement."""
    found = list(_ASSIGNED.finditer(text))
    for match, after in zip(found, [*found[1:], None], strict=True):
        rest = text[match.end() : after.start() if after else len(text)]
        yield match[1], match[2], _ENDS.split(rest, maxsplit=1)[0]


def _handed_over(steps: str, formals: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Yield (argument of a procedure or function, what a call hands over for all of them)."""
    for name, written in formals.items():
        for call in re.findall(rf"\b{name}\s*(\((?:[^()]|\([^()]*\))*\))", steps):
            yield from ((argument, call) for argument in _names(written))


def _names(text: str) -> Set[str]:
    return set(_NAME.findall(text))


def _remembers(values: list[tuple[str, str]]) -> bool:
    """Tell whether a value follows from what it was in the step before."""
    graph: dict[str, set[str]] = {}
    for name, rest in values:
        graph.setdefault(name, set()).update(_names(rest))
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError:
        return True
    return False


def _moving(states: Set[str], values: list[tuple[str, str]]) -> Set[str]:
    """Return the names whose values follow the states, directly or not."""
    moving, n = set(states), -1
    while len(moving) > n:
        n = len(moving)
        moving |= {name for name, rest in values if moving & _names(rest)}
    return moving


def _degree(text: str, own: str, moving: Set[str]) -> float:
    """Return the degree of a right side in its own state; inf where another one moves in it."""
    plain = _WITH_UNIT.sub(r"\1", " ".join(text.split())).replace("^", "**")
    try:
        return _degree_of(ast.parse(plain, mode="eval").body, own, moving)
    except (SyntaxError, ValueError, RecursionError):
        return math.inf


def _degree_of(node: ast.expr, own: str, moving: Set[str]) -> float:
    match node:
        case ast.Name(id=name):
            return 1 if name == own else math.inf if name in moving else 0
        case ast.Constant():
            return 0
        case ast.UnaryOp(operand=operand):
            return _degree_of(operand, own, moving)
        case ast.BinOp(left=left, op=op, right=right):
            a, b = _degree_of(left, own, moving), _degree_of(right, own, moving)
            if isinstance(op, ast.Add | ast.Sub):
                return max(a, b)
            if isinstance(op, ast.Mult):
                return a + b
            return a if isinstance(op, ast.Div) and b == 0 else math.inf if a or b else 0
    return math.inf if _names(ast.unparse(node)) & moving else 0
