"""The experiment of a saved result, read without any code of others."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from stpspec.errors import SpecError
from stpspec.specs.experiment import Experiment
from stpspec.specs.figures import Figures, figure_formats
from stpspec.specs.objective import Objective
from stpspec.specs.parameters import Parameter


def unplugged(spec: Mapping[str, Any]) -> Any:
    """Return the experiment of a result without importing the plug-ins that it names.

    Where it is not valid without them, it has what tables and figures read of it, and no more.

    Parameters
    ----------
    spec : mapping
        As a result keeps it.
    """
    try:
        return Experiment.from_data({**spec, "plugins": []})
    except SpecError:
        if not spec.get("plugins"):
            raise
    objective = spec.get("objective")
    fitter = spec.get("fitter") or {}
    return SimpleNamespace(
        name=str(spec.get("name", "")),
        description=str(spec.get("description", "")),
        source=str(spec.get("source", "")),
        seed=spec.get("seed", 0),
        plugins=list(spec["plugins"]),
        parameters={n: Parameter.model_validate(p) for n, p in spec["parameters"].items()},
        objective=None if objective is None else Objective.model_validate(objective),
        fitter=SimpleNamespace(kind=fitter.get("kind", ""), uses_whole_budget=False),
        numerics=SimpleNamespace(**(spec.get("numerics") or {})),
        figures=Figures(format=[*figure_formats(spec)]),  # pyright: ignore[reportArgumentType]
        to_data=lambda: dict(spec),
    )
