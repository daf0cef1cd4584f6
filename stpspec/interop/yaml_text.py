"""YAML text as people write it: short mappings in one line, remarks beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import yaml


def flow(value: object) -> str:
    """Return a value in one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k}: {flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(flow(v) for v in value) + "]"
    if isinstance(value, float):
        return _number(value)
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10**6)
    return text.removesuffix("...\n").strip()


def _number(value: float) -> str:
    """Return a number with all its digits, as YAML reads it: 1e-05 would be a text."""
    text = repr(value).removesuffix(".0")
    mantissa, e, exponent = text.partition("e")
    return f"{mantissa}{'' if '.' in mantissa else '.0'}e{exponent}" if e else text


def block(
    data: Mapping[str, object],
    remarks: Mapping[str, str] | None = None,
    indent: str = "",
    path: str = "",
) -> str:
    """Return a mapping as lines; inner mappings of plain values in one line each.

    Parameters
    ----------
    data : mapping
    remarks : mapping of str to str, optional
        Dotted path → what is said of it at the end of its line.
    indent, path : str
        Of the mapping itself.
    """  # fmt: skip
    lines = []
    for key, value in data.items():
        at = f"{path}.{key}" if path else str(key)
        remark = f" # {remarks[at]}" if remarks and at in remarks else ""
        if isinstance(value, Mapping) and value and not _is_plain(value):
            lines.append(f"{indent}{key}:{remark}")
            lines.append(block(value, remarks, indent + "  ", at))
        else:
            lines.append(f"{indent}{key}: {flow(value)}{remark}")
    return "\n".join(lines)


def _is_plain(value: Mapping[str, object]) -> bool:
    """Tell whether a mapping is written in one line."""
    inner = list(value.values())
    short = len(flow(value)) < 76
    return short and not any(isinstance(v, Mapping) and v for v in inner)


def listed(items: Sequence[object], indent: str = "  ") -> str:
    """Return a list, an item a line."""
    return "\n".join(f"{indent}- {flow(item)}" for item in items)
