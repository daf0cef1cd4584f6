"""Requests: which metrics of which protocols are measured, and with which options."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from stpspec.metrics.registration import Metric, Options
from stpspec.registry import METRICS
from stpspec.specs.base import Spec
from stpspec.specs.experiment import Experiment
from stpspec.specs.objective import Objective
from stpspec.specs.protocol import Protocol, names_of_runs, runs_of


@dataclass(frozen=True)
class Request:
    """One metric to be measured: its name in the output, protocol and options."""

    name: str
    metric: str
    protocol: str
    options: Options = field(default_factory=dict, hash=False)

    @functools.cached_property
    def chosen(self) -> Options:
        """The options that are set, validated once for all candidates."""
        options = METRICS.get(self.metric).options
        if not self.options and not _requires_any(options):
            return {}  # a sweep asks this of each metric in each combination
        return options.model_validate(dict(self.options)).model_dump(exclude_unset=True)


@functools.lru_cache(maxsize=256)
def _requires_any(options: type[Spec]) -> bool:
    """Tell whether a metric can be measured only with options."""
    return any(f.is_required() for f in options.model_fields.values())


def requested(objective: Objective) -> list[Request]:
    """Return what has to be measured; targets may still have units."""
    return [Request(n, t.metric, t.protocol, t.options) for n, t in objective.terms.items()]


def everything(protocols: Mapping[str, Protocol]) -> list[Request]:
    """Return a request for every scalar metric that each protocol can give by default."""
    found = []
    for protocol, spec in runs_of(protocols).items():
        gives = spec.provides()
        for name in METRICS.names():
            metric: Metric = METRICS.get(name)
            scalar = not metric.vector and not _requires_any(metric.options)
            if scalar and set(metric.needs) <= gives:
                found.append(Request(f"{protocol}.{name}", name, protocol))
    return found


def requests_of(experiment: Experiment, *, all_metrics: bool = False) -> list[Request]:
    """Return what is measured: the terms of the objective, or everything without one."""
    terms = requested(experiment.objective) if experiment.objective else []
    if terms and not all_metrics:
        return terms
    asked = {(t.metric, t.protocol) for t in terms if not t.options}
    rest = [r for r in everything(experiment.protocols) if (r.metric, r.protocol) not in asked]
    return [*terms, *rest]


def protocols_read(requests: Sequence[Request], protocols: Mapping[str, Protocol]) -> list[str]:
    """Return the runs of the protocols that have to be simulated for what is asked, in order."""
    wide = any(METRICS.get(r.metric).needs_siblings(r.options) for r in requests)
    asked = {r.protocol for r in requests}
    return [
        run for name in protocols for run in names_of_runs(name, protocols)
        if wide or name in asked or run in asked
    ]  # fmt: skip
