"""The mechanisms, templates and plug-ins that an experiment is made of, kept with its results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from stpspec.engine.mechanisms.library import sources
from stpspec.engine.mechanisms.nmodl import included_in
from stpspec.engine.templates import template_path
from stpspec.resources import plugin_files
from stpspec.specs.experiment import Experiment


def named_paths(experiment: Experiment) -> dict[str, Path]:
    """Return the files that an experiment names.

    Nothing is loaded or compiled: what is wrong with them :func:`stpspec.check` tells.

    Raises
    ------
    StpspecError
        If one is not there.
    """
    model = experiment.model
    cells = [model.cell, getattr(model, "second_cell", model.cell)]
    return _named(sources(model.mod), map(template_path, cells), experiment.plugins)


def source_paths(bound: Any) -> dict[str, Path]:
    """Return the files of a bound experiment."""
    return _named(bound.sources, bound.templates, bound.experiment.plugins)


def _named(
    mechanisms: Mapping[str, Path], templates: Iterable[Path], plugins: Sequence[str]
) -> dict[str, Path]:
    names = [p.name for p in mechanisms.values()]  # two folders may hold files of one name
    paths = {
        f"mod/{p.name if names.count(p.name) == 1 else f'{mechanism}.mod'}": p
        for mechanism, p in mechanisms.items()
    }
    for source in mechanisms.values():
        paths |= {f"mod/{written}": p for written, p in included_in(source).items()}
    paths |= {f"templates/{p.name}": p for p in templates}
    return paths | {f"plugins/{p.name}": p for p in plugin_files(plugins).values()}
