"""The dashboard: a study in the browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stpspec.registry import exports

if TYPE_CHECKING:
    from stpspec.dashboard.server import serve

__all__ = [
    "serve",
]

__getattr__ = exports(
    __name__,
    {
        "serve": "server",
    },
)
