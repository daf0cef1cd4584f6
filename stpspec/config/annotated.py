"""YAML of a resolved experiment, with where each value comes from at the end of its line."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from stpspec.resources import shipped

WIDTH = 80
_COLUMN = 44  # comments begin here at the latest, where the value leaves room
_NUMBER_IN_YAML = re.compile(r"[-+]?(\.?\d[\d_.]*)([eE][-+]?\d+)?")

Place = Callable[[str], str]
"""Dotted path of a value → where it comes from."""


def annotated(data: Mapping[str, object], place: Place, title: str) -> str:
    """Return YAML that can be run, each value with where it comes from.

    Parameters
    ----------
    data : mapping
    place : callable
    title : str
        First line.
    """
    lines = list(_lines(data, "", 0, place))
    widths = [len(text) for text, _, _ in lines if len(text) <= _COLUMN - 2]
    column = max(widths, default=0) + 2
    body, ours = [], False
    for text, comment, indent in lines:
        comment, is_ours = _of_shipped(comment)
        ours = ours or is_ours
        fitting = [c for c in _shorter(comment) if max(len(text) + 2, column) + 2 + len(c) <= WIDTH]
        if not comment:
            body.append(text)
        elif fitting and "\n" not in text:
            body.append(f"{text:<{column - 2}}  # {fitting[0]}")
        else:
            body += [f"{' ' * indent}# {comment}", text]
    head = [
        f"# {title}",
        "# At the end of a line: the file that sets it, a default, or an override.",
    ]
    if ours:
        head += [f"# conf/ and experiments/ are those of stpspec, in {shipped('conf').parent}"]
    return "\n".join([*head, *body]) + "\n"


def _of_shipped(comment: str) -> tuple[str, bool]:
    """Return the place of a shipped file as one below ``conf/``; tell if it is such a file."""
    file, colon, line = comment.rpartition(":")
    home = shipped("conf").parent
    path = Path(file)
    if colon and path.is_absolute() and path.is_relative_to(home):
        return f"{path.relative_to(home)}:{line}", True
    return comment, False


def _shorter(comment: str) -> list[str]:
    """Return a place as it is, and with ever fewer of its folders."""
    parts = comment.split("/")
    return [comment, *(f"…/{'/'.join(parts[-n:])}" for n in range(len(parts) - 1, 0, -1))]


def _lines(
    data: Mapping[str, object], prefix: str, indent: int, place: Place
) -> Iterator[tuple[str, str, int]]:
    """Yield text, comment and indentation of each line."""
    for key, value in data.items():
        path, start = f"{prefix}{key}", " " * indent
        if isinstance(value, Mapping) and value:
            yield f"{start}{_scalar(key)}:", "", indent
            yield from _lines(value, f"{path}.", indent + 2, place)
            continue
        text = f"{start}{_scalar(key)}: {_scalar(value)}"
        if len(text) > WIDTH:
            text = _wrapped(key, value, indent)
        yield text, place(path), indent


def _scalar(value: object) -> str:
    import yaml

    text = yaml.safe_dump(
        _plain(value), allow_unicode=True, default_flow_style=True, width=10**9, sort_keys=False
    )
    text = text.removesuffix("\n").removesuffix("\n...")
    is_text = isinstance(value, str) and _NUMBER_IN_YAML.fullmatch(value)
    return f"'{value}'" if is_text and not text.startswith("'") else text


def _wrapped(key: object, value: object, indent: int) -> str:
    """Return a text or a list that is too long for one line."""
    import yaml

    def dumped(what: object, flow: bool | None, deeper: int) -> list[str]:
        text = yaml.safe_dump(
            what, allow_unicode=True, sort_keys=False, width=WIDTH - 12 - indent - deeper,
            default_flow_style=flow,
        )  # fmt: skip
        return [" " * (indent + deeper) + line for line in text.rstrip("\n").splitlines()]

    if isinstance(value, str) and re.fullmatch(r"\S+( \S+)*", value):
        start = " " * (indent + 2)
        lines = textwrap.wrap(
            str(_plain(value)), WIDTH, initial_indent=start, subsequent_indent=start,
            break_long_words=False, break_on_hyphens=False,
        )  # fmt: skip
        return "\n".join([f"{' ' * indent}{_scalar(key)}: >-", *lines])
    if isinstance(value, str):
        return "\n".join(dumped({str(key): _plain(value)}, False, 0))
    return "\n".join([f"{' ' * indent}{_scalar(key)}:", *dumped(_plain(value), None, 2)])


def _plain(value: object) -> object:
    """Return a value whose texts mean themselves, also where they look like interpolations."""
    if isinstance(value, str):
        return value.replace("${", "\\${")
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, list | tuple) else value
