"""Composition: conf, experiments and overrides become the data of an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stpspec.registry import exports

if TYPE_CHECKING:
    from stpspec.config.compose import load
    from stpspec.config.errors import ConfigError, OverrideError
    from stpspec.config.locations import Origin

__all__ = [
    "ConfigError",
    "Origin",
    "OverrideError",
    "load",
]

__getattr__ = exports(
    __name__,
    {
        "ConfigError": "errors",
        "Origin": "locations",
        "OverrideError": "errors",
        "load": "compose",
    },
)
