"""Python files read as data: literals, names of literals, keyword arguments; never executed."""

from __future__ import annotations

import ast
import json
import math
import operator
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stpspec.errors import SpecError, SpecProblem

_OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
}  # fmt: skip


@dataclass(frozen=True)
class Computed:
    """A value that only running the file would give.

    Attributes
    ----------
    code : str
    place : str
        File and line.
    """

    code: str
    place: str


@dataclass
class PythonData:
    """What a Python file says without being executed.

    Attributes
    ----------
    values : dict of str to object
        Name → value; inside it what is computed is a :class:`Computed`.
    calls : list of (str, dict)
        Name of each function that is called, and its keyword arguments.
    notes : list of str
        Arithmetic that was done.
    """

    values: dict[str, Any] = field(default_factory=dict)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_python(path: Path) -> PythonData:
    """Read the assignments and calls of a Python file, or of the cells of a notebook.

    Raises
    ------
    SpecError
        If it is no Python.
    """
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".ipynb":
            text = _code_of_notebook(text)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a style that is not ours
            tree = ast.parse(text)
    except SyntaxError as error:
        raise SpecError(
            [SpecProblem("", f"{path}:{error.lineno}: no Python: {error.msg}")]
        ) from None
    except (OSError, ValueError, LookupError, TypeError, RecursionError, MemoryError) as error:
        raise SpecError([SpecProblem("", f"{path} cannot be read: {error}")]) from None
    return _Reader(path.name).read(tree)


def _code_of_notebook(text: str) -> str:
    cells = [c for c in json.loads(text)["cells"] if c["cell_type"] == "code"]
    lines = [line for c in cells for line in "".join(c["source"]).splitlines()]
    return "\n".join("" if line.lstrip().startswith(("%", "!")) else line for line in lines)


class _Reader:
    def __init__(self, name: str):
        self._name, self._data = name, PythonData()

    def read(self, tree: ast.Module) -> PythonData:
        for statement in tree.body:
            self._statement(statement)
        return self._data

    def _statement(self, node: ast.stmt) -> None:
        match node:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    self._assign(target, value)
            case ast.AnnAssign(target=target, value=value) if value is not None:
                self._assign(target, value)
            case ast.Expr(value=ast.Call() as call):
                self._call(call)
            case ast.AugAssign(target=target):
                self._assign(target, node)
            case ast.If() | ast.For() | ast.While() | ast.With() | ast.Try():
                self._nested(node)
            case _:
                pass  # imports, functions and classes hold no settings

    def _nested(self, node: ast.stmt) -> None:
        """Mark what is assigned under a condition or in a loop: which value it has is not known."""
        is_main = isinstance(node, ast.If) and "__name__" in ast.unparse(node.test)
        if is_main:
            for inner in node.body:  # pyright: ignore[reportAttributeAccessIssue]
                self._statement(inner)
            return
        for inner in ast.walk(node):
            if isinstance(inner, ast.Assign):
                for target in inner.targets:
                    self._assign(target, node)
            elif isinstance(inner, ast.Call):
                self._call(inner)

    def _assign(self, target: ast.expr, value: ast.AST) -> None:
        if isinstance(value, ast.Call):
            self._call(value)
        found = self._value(value) if isinstance(value, ast.expr) else self._computed(value)
        if isinstance(target, ast.Name):
            self._data.values[target.id] = found
            return
        place, key = self._place(target)
        if place is not None:
            place[key] = found

    def _place(self, target: ast.expr) -> tuple[dict[Any, Any] | None, Any]:
        """Return the mapping and key that a subscript such as ``a["b"]["c"]`` means."""
        if not isinstance(target, ast.Subscript):
            return None, None
        key = self._value(target.slice)
        if isinstance(target.value, ast.Name):
            inner = self._data.values.get(target.value.id)
        else:
            place, at = self._place(target.value)
            inner = place.get(at) if place is not None and not isinstance(at, Computed) else None
        known = isinstance(inner, dict) and isinstance(key, str | int | float)
        return (inner, key) if known else (None, None)

    def _call(self, call: ast.Call) -> None:
        function = call.func
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        keywords = {k.arg: self._value(k.value) for k in call.keywords if k.arg}
        if name == "update" and isinstance(function, ast.Attribute):
            target = self._value(function.value)
            given = [self._value(a) for a in call.args]
            if isinstance(target, dict) and all(isinstance(g, dict) for g in given):
                for mapping in (*given, keywords):
                    target.update(mapping)
        self._data.calls.append((name, keywords))

    def _value(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant(value=value):
                return value
            case ast.List(elts=items) | ast.Tuple(elts=items):
                return [self._value(item) for item in items]
            case ast.Dict(keys=keys, values=values):
                return self._mapping(node, keys, values)
            case ast.Name(id=name) if name in self._data.values:
                return self._data.values[name]
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                value = self._value(operand)
                return -value if _is_number(value) else self._computed(node)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
                return self._arithmetic(node, self._value(left), type(op), self._value(right))
            case ast.Call(func=ast.Name(id="dict"), args=[], keywords=keywords):
                return self._mapping(
                    node, [ast.Constant(k.arg) if k.arg else None for k in keywords],
                    [k.value for k in keywords],
                )  # fmt: skip
            case ast.Subscript():
                place, key = self._place(node)
                return self._computed(node) if place is None or key not in place else place[key]
        return self._computed(node)

    def _mapping(self, node: ast.expr, keys: list[Any], values: list[ast.expr]) -> Any:
        found: dict[Any, Any] = {}
        for key, value in zip(keys, values, strict=True):
            inner = self._value(value)
            if key is None:  # **another
                if not isinstance(inner, dict):
                    return self._computed(node)
                found |= inner
                continue
            name = self._value(key)
            if not isinstance(name, str | int | float):
                return self._computed(node)
            found[name] = inner
        return found

    def _arithmetic(self, node: ast.expr, left: Any, op: type[ast.operator], right: Any) -> Any:
        if not (_is_number(left) and _is_number(right)):
            return self._computed(node)
        try:
            value = _OPERATORS[op](left, right)
        except (ZeroDivisionError, OverflowError):
            return self._computed(node)
        if not math.isfinite(value):
            return self._computed(node)
        note = f"{self._place_of(node)}: {ast.unparse(node)} is computed: taken as {value:g}"
        if note not in self._data.notes:
            self._data.notes.append(note)
        return value

    def _computed(self, node: ast.AST) -> Computed:
        code = " ".join(ast.unparse(node).split())
        return Computed(code if len(code) < 60 else code[:57] + "…", self._place_of(node))

    def _place_of(self, node: ast.AST) -> str:
        return f"{self._name}:{getattr(node, 'lineno', 0)}"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def computed_in(data: object, path: str = "") -> dict[str, Computed]:
    """Return dotted path → value, of all in some data that only running the file would give."""
    if isinstance(data, Computed):
        return {path: data}
    found: dict[str, Computed] = {}
    items = data.items() if isinstance(data, Mapping) else (
        enumerate(data) if isinstance(data, list) else ()
    )  # fmt: skip
    for key, value in items:
        found |= computed_in(value, f"{path}.{key}" if path else str(key))
    return found
