"""Interchange: projects made of foreign files, imports and exports, one module a format."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stpspec.registry import exports

if TYPE_CHECKING:
    from stpspec.interop.starter import start_project

__all__ = [
    "start_project",
]

__getattr__ = exports(
    __name__,
    {
        "start_project": "starter",
    },
)
