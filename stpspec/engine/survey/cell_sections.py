"""Sections of a cell, in the process that builds it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stpspec.engine import cells, nrn
from stpspec.engine.mechanisms import library
from stpspec.engine.templates import CellTemplate


def sections_of(cell: CellTemplate, mod: Sequence[str]) -> list[str]:
    """Build a cell and return the names of its sections, in the order of its list ``all``.

    Parameters
    ----------
    cell : CellTemplate
    mod : sequence of str
        Files of the mechanisms that it inserts.

    Raises
    ------
    MechanismError
        If they cannot be loaded.
    TemplateError
        If the cell cannot be built.
    """
    with nrn.exclusive():
        library.ensure_loaded(mod)
        built, before = cells.build_alone(cell)
        listed: Any = getattr(built, "all", None)
        prefix = f"{built}."
        names = [s.name() for s in (listed if listed is not None else nrn.hoc().allsec())
                 if s not in before]  # fmt: skip
        return [n.removeprefix(prefix) for n in names]
