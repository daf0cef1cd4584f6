"""Registries of metrics, losses, costs, protocols, fitters, models and recordings by name.

Built-ins are found by importing the modules of one package, all of them light;
third parties add theirs with the decorator or with an entry point.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from stpspec.errors import PluginError, TrustError, unknown_name
from stpspec.resources.plugin_folders import reach_noted_plugins
from stpspec.resources.trust import require_trust


class Registry:
    """A table from names to objects of one sort.

    Parameters
    ----------
    sort : str
        What the names stand for, in the singular; used in messages.
    package : str
        Package, or single module, whose import registers the built-ins.
    group : str
        Entry-point group through which other distributions add names.
    """

    def __init__(self, sort: str, package: str, group: str):
        self.sort = sort
        self._package = package
        self._group = group
        self._things: dict[str, Any] = {}
        self._has_own = False
        self._has_all = False

    def register(self, name: str) -> Callable[[Any], Any]:
        """Return a decorator that stores what it decorates under ``name``.

        Raises
        ------
        ValueError
            If another object already has that name.
        """

        def store(thing: Any) -> Any:
            if not str(_identity(thing)[0]).startswith("stpspec."):
                self._add_own()  # so that a name of ours is a clash now, not a puzzle later
            old = self._things.get(name)
            if old is not None and _identity(old) != _identity(thing):
                raise ValueError(f"a {self.sort} called {name!r} is already registered ({old!r})")
            self._things[name] = thing
            return thing

        return store

    def get(self, name: str) -> Any:
        """Return what is registered under ``name``.

        Raises
        ------
        UnknownNameError
            If nothing is; the message names the nearest name and all the others.
        """
        if name not in self._things:
            self._fill()
        if name not in self._things:
            raise unknown_name(self.sort, name, self._things)
        return self._things[name]

    def shipped(self, name: object) -> Any:
        """Return what stpspec itself registers under ``name``, or None; no plug-in is imported."""
        self._add_own()
        thing = self._things.get(str(name))
        return thing if str(_identity(thing)[0]).startswith("stpspec.") else None

    def is_installed(self, name: str) -> bool:
        """Tell whether an installed package brings this name, for every process to find."""
        return name in _entry_points().select(group=self._group).names

    def names(self) -> list[str]:
        """Return every registered name, sorted."""
        self._fill()
        return sorted(self._things)

    def _add_own(self) -> None:
        if self._has_own:
            return
        self._has_own = True
        module = importlib.import_module(self._package)
        for info in pkgutil.iter_modules(getattr(module, "__path__", [])):
            importlib.import_module(f"{self._package}.{info.name}")

    def _fill(self) -> None:
        self._add_own()
        if self._has_all:
            return
        self._has_all = True
        for point in _entry_points().select(group=self._group):
            try:
                point.load()
            except (Exception, SystemExit) as error:  # a broken package must be named, not hidden
                raise PluginError(
                    f"the entry point {point.name!r} of group {self._group!r} ({point.value}) "
                    f"cannot be loaded: {type(error).__name__}: {error}"
                ) from error
            # A decorated object has registered itself when its module was imported.
            if point.name not in self._things:
                raise PluginError(
                    f"the entry point {point.name!r} of group {self._group!r} ({point.value}) "
                    f"registers no {self.sort} of this name: decorate it under that name"
                )


@functools.cache
def _entry_points() -> Any:
    """Return the entry points of all distributions, which are many small files."""
    return entry_points()


def _identity(thing: Any) -> tuple[str | None, str | None]:
    # Reloading a notebook cell or a module defines the same name again: that is not a clash.
    thing = getattr(thing, "function", thing)
    return getattr(thing, "__module__", None), getattr(thing, "__qualname__", None)


def exports(package: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a package, which loads what it exports on first use.

    Parameters
    ----------
    package : str
    names : mapping of str to str
        Exported name → the module that defines it, of the package or (with dots) of another.
    """

    def load(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = names[name] if "." in names[name] else f"{package}.{names[name]}"
        return getattr(importlib.import_module(module), name)

    return load


_runs_nothing: contextvars.ContextVar[bool] = contextvars.ContextVar("runs", default=False)


@contextlib.contextmanager
def without_plugins() -> Iterator[None]:
    """Import no plug-in module inside: what only they know stays data."""
    token = _runs_nothing.set(True)
    try:
        yield
    finally:
        _runs_nothing.reset(token)


def runs_nothing() -> bool:
    """Tell whether this is inside :func:`without_plugins`."""
    return _runs_nothing.get()


def import_plugins(modules: Sequence[str]) -> None:
    """Import the modules that a spec names in ``plugins``; none inside :func:`without_plugins`.

    Raises
    ------
    PluginError
        If one of them cannot be imported.
    TrustError
        If one lies in a result, and was neither run before nor trusted.
    """
    new = [] if runs_nothing() else [name for name in modules if name not in sys.modules]
    reach_noted_plugins(new)
    for name in new:
        try:
            _require_trust(name)
            importlib.import_module(name)
        except TrustError:
            raise
        except (Exception, SystemExit) as error:
            raise PluginError(
                f"the plug-in module {name!r} cannot be imported: {type(error).__name__}: {error}"
            ) from error


def _require_trust(module: str) -> None:
    """Refuse a module that lies in a result, unless it is trusted; nothing is imported for it."""
    spec = importlib.util.find_spec(module.partition(".")[0])
    places = [spec.origin, *(spec.submodule_search_locations or [])] if spec is not None else []
    require_trust(*(Path(place) for place in places if place not in (None, "built-in", "frozen")))


METRICS = Registry("metric", "stpspec.metrics", "stpspec.metrics")
LOSSES = Registry("loss", "stpspec.metrics.losses", "stpspec.losses")
COSTS = Registry("cost function", "stpspec.metrics.losses", "stpspec.costs")
PROTOCOLS = Registry("protocol", "stpspec.specs.protocol", "stpspec.protocols")
FITTERS = Registry("fitter", "stpspec.fitters.methods", "stpspec.fitters")
MODELS = Registry("model", "stpspec.specs.model", "stpspec.models")
RECORDINGS = Registry("recording", "stpspec.specs.recording", "stpspec.recordings")
TARGET_SOURCES = Registry("source of targets", "stpspec.data.sources", "stpspec.target_sources")
