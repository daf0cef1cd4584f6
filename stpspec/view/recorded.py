"""Recorded traces that are targets, drawn over the fitted ones; how a protocol is measured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from stpspec.errors import StpspecError
from stpspec.metrics.noise import Noise
from stpspec.metrics.registration import ResponseOptions
from stpspec.metrics.samples import sample_times, trace
from stpspec.registry import METRICS
from stpspec.specs.protocol import names_of_runs
from stpspec.units import convert
from stpspec.view.contract import terms_of
from stpspec.view.data import keep

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from stpspec.metrics.response import Response
    from stpspec.specs.experiment import Experiment
    from stpspec.specs.objective import Term

_OPTIONS = tuple(n for n in ResponseOptions.model_fields if n not in ("trials", "signal"))
_GAP = 2.5  # intervals without a sample, that a line does not bridge
_MARKED = 1500  # samples up to which each is marked; they then lie on the model


def response_options(experiment: Experiment | None, protocol: str) -> dict[str, Any]:
    """Return how a term of the objective measures the pulses of a protocol: baseline and so on."""
    if experiment is None:
        return {}
    for term in terms_of(experiment).values():
        known = term.metric in METRICS.names() and METRICS.get(term.metric).reads_signal
        if known and protocol in names_of_runs(term.protocol, experiment.protocols):
            chosen = METRICS.get(term.metric).options.model_validate(term.options).model_dump()
            if "baseline" in chosen:
                return {n: chosen[n] for n in _OPTIONS}
    return {}


@dataclass(frozen=True)
class RecordedTrace:
    """A recorded trace at the level of the model's.

    Attributes
    ----------
    t : ndarray, shape (sample,)
        ms after the onset of the stimulus.
    y : ndarray, shape (sample,)
    sd : ndarray, shape (sample,), or None
    breaks : ndarray of int
        Samples before which there is a gap, that a line does not bridge.
    """

    t: np.ndarray
    y: np.ndarray
    sd: np.ndarray | None
    breaks: np.ndarray

    @property
    def is_dense(self) -> bool:
        """Whether it is a band of noise, in which the model is to be seen."""
        return self.t.size > _MARKED


def recorded_traces(
    experiment: Experiment, protocol: str, response: Response
) -> list[RecordedTrace]:
    """Return the recorded traces of a signal that are targets, ± sd where it is known."""
    traces: list[RecordedTrace] = []
    for term in _traces(experiment, protocol, response):
        options = METRICS.get("trace").options.model_validate(term.options).model_dump()
        try:
            t = sample_times(options)
            y = _numbers(term.target, response.unit)
            sd = _sd(term, y, response.unit)
            y = y + _level(response, options)
        except (StpspecError, ValueError):
            continue  # of another unit than what is drawn, as where both are recorded
        if t.size == y.size:
            breaks = np.flatnonzero(np.diff(t) > _GAP * np.median(np.diff(t))) + 1
            traces.append(RecordedTrace(t, y, sd, breaks))
    return traces


def draw_recorded(
    ax: Axes, experiment: Experiment, protocol: str, response: Response
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the recorded traces of a signal that are targets, ± sd where it is known.

    Returns
    -------
    tuple of ndarray, shape (sample,)
        Their times, ms after the onset, and values.
    """
    drawn: list[tuple[np.ndarray, np.ndarray]] = [(np.array([]), np.array([]))]
    for each in recorded_traces(experiment, protocol, response):
        t, y, sd = each.t, each.y, each.sd
        x, line = (np.insert(v, each.breaks, np.nan) for v in (t, y))
        label = "Recorded" if sd is None else "Recorded ± SD"
        if each.is_dense:
            ax.plot(x, line, color="0.65", lw=0.4, zorder=1, label=label)
        else:
            ax.plot(x, line, color="0.3", lw=0.4, marker=".", ms=2.5, alpha=0.7, zorder=4,
                    label=label)  # fmt: skip
        if sd is not None:
            wide = np.insert(sd, each.breaks, np.nan)
            ax.fill_between(x, line - wide, line + wide, color="black", alpha=0.12, lw=0)
        keep(ax, "recorded", t, y, sd)
        drawn.append((t, y))
    return np.concatenate([d[0] for d in drawn]), np.concatenate([d[1] for d in drawn])


def _level(response: Response, options: dict[str, Any]) -> float:
    """Return what the metric subtracts from the trace of the model."""
    if options["subtract_baseline"] == "mean":
        names = ("windows", "interval", "times", "bin_width", "lowpass")
        asked = {n: options[n] for n in names}
        return float(trace(response, **asked, subtract_baseline=False).mean())
    return response.rest if options["subtract_baseline"] else 0.0


def _traces(experiment: Experiment, protocol: str, response: Response) -> Iterator[Term]:
    for term in terms_of(experiment).values():
        signal = term.options.get("signal") or response.stimulus["default_signal"]
        if (term.metric, term.protocol, signal) == ("trace", protocol, response.signal_name):
            yield term


def _sd(term: Term, y: np.ndarray, unit: str) -> np.ndarray | None:
    if term.sd is None:
        return None
    sds = _numbers(term.sd, unit)
    return Noise.of(sds if sds.size > 1 else sds[0], term.n, y).sd


def _numbers(values: Any, unit: str) -> np.ndarray:
    listed = values if isinstance(values, list) else [values]
    return np.array([np.nan if v is None else convert(v, unit) for v in listed])
