"""Messages between the page and its engine: what is asked, and what comes back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from stpspec.metrics.measure import Measurement
from stpspec.metrics.miss import Miss
from stpspec.metrics.requests import Request

Numbers = float | tuple[float, ...]


@dataclass(frozen=True)
class Facts:
    """What the loaded mechanism tells of the numbers that can be set by hand.

    Attributes
    ----------
    units, defaults : dict
        Of every parameter.
    limits : dict of str to (float, float)
        Of the parameters that have any.
    recordable : dict of str to str
        Variable → unit.
    """

    units: dict[str, str]
    defaults: dict[str, float]
    limits: dict[str, tuple[float, float]] = field(default_factory=dict)
    recordable: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Ask:
    """What the engine is to do; the experiment is sent whole, as data.

    Attributes
    ----------
    data : dict
        Of the experiment.
    search_path : tuple of str
        Where modules are looked for.
    """

    data: Mapping[str, Any]
    search_path: tuple[str, ...] = ()


@dataclass(frozen=True)
class AskFacts(Ask):
    """Load the mechanism and tell what it has."""


@dataclass(frozen=True)
class AskTraces(Ask):
    """Simulate one protocol; return its traces for a screen.

    Attributes
    ----------
    protocol : str
    pixels : int
        Width of the figure.
    """

    protocol: str = ""
    pixels: int = 1000


@dataclass(frozen=True)
class AskMetrics(Ask):
    """Measure all metrics of a protocol, as a rule in the traces that were shown just before.

    Attributes
    ----------
    protocol : str
    """

    protocol: str = ""


@dataclass(frozen=True)
class AskTargets(Ask):
    """Measure the terms of the objective, and judge them."""


@dataclass(frozen=True)
class AskPoint(Ask):
    """Measure a protocol for one point of a frequency response.

    Attributes
    ----------
    protocol : str
    frequency : float
    """

    protocol: str = ""
    frequency: float = 0.0


@dataclass(frozen=True)
class AskFit(Ask):
    """Fit the free parameters, and tell of each better point."""


@dataclass(frozen=True)
class Trace:
    """One signal as it is drawn: as many samples as the screen can show.

    Attributes
    ----------
    signal, label, unit : str
    t : ndarray, shape (n,)
        ms after the onset of the stimulus.
    y : ndarray, shape (n,)
    """

    signal: str
    label: str
    unit: str
    t: np.ndarray
    y: np.ndarray


@dataclass(frozen=True)
class RecordedData:
    """A recorded trace over that of the model, as many samples as the screen can show.

    Attributes
    ----------
    signal : str
    t : ndarray, shape (n,)
        ms after the onset of the stimulus.
    y, low, high : ndarray, shape (n,)
        Its values, and those one sd below and above: the values themselves without an sd. NaN
        breaks a line where nothing was recorded.
    """

    signal: str
    t: np.ndarray
    y: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class Pulses:
    """Pulses as they are measured in the default signal, arrays of shape (pulse,).

    Attributes
    ----------
    signal : str
    arrival, peak : ndarray
        ms after the onset of the stimulus.
    base, top : ndarray
        The baseline at the time of the peak and the peak, in the unit of the signal.
    amplitude : ndarray
        NaN where it cannot be measured.
    """

    signal: str
    arrival: np.ndarray
    peak: np.ndarray
    base: np.ndarray
    top: np.ndarray
    amplitude: np.ndarray


@dataclass(frozen=True)
class Level:
    """A mean over a window that a metric of a current step reads.

    Attributes
    ----------
    signal : str
    start, stop : float
        ms after the onset of the stimulus.
    value : float
    """

    signal: str
    start: float
    stop: float
    value: float


@dataclass(frozen=True)
class Metric:
    """One measured metric.

    Attributes
    ----------
    name, metric, protocol, unit : str
    value : float or tuple of float
        NaN where there is a reason.
    reason : str
        Why there is no value.
    steps, notes : tuple of str
        The arithmetic, and what a reader should know.
    """

    name: str
    metric: str
    protocol: str
    unit: str
    value: Numbers
    reason: str = ""
    steps: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, request: Request, measurement: Measurement) -> Metric:
        """Return what was measured as numbers and text."""
        value = measurement.value
        plain = float(value) if value.ndim == 0 else tuple(value.ravel().tolist())
        return cls(
            request.name, request.metric, request.protocol, measurement.unit, plain,
            measurement.reason, tuple(measurement.steps), tuple(measurement.notes),
        )  # fmt: skip


@dataclass(frozen=True)
class Traces:
    """The answer to :class:`AskTraces`.

    Attributes
    ----------
    protocol : str
    traces : tuple of Trace
    pulses : Pulses or None
    levels : tuple of Level
    failure : str
        Why there is no trace; empty if there is.
    recorded : tuple of RecordedData
        What was recorded of the signals, where it is a target.
    """

    protocol: str
    traces: tuple[Trace, ...]
    pulses: Pulses | None
    levels: tuple[Level, ...]
    failure: str = ""
    recorded: tuple[RecordedData, ...] = ()


@dataclass(frozen=True)
class Measured:
    """The answer to :class:`AskMetrics`.

    Attributes
    ----------
    protocol : str
    metrics : tuple of Metric
    seconds : float
        Of the simulation.
    """

    protocol: str
    metrics: tuple[Metric, ...]
    seconds: float


@dataclass(frozen=True)
class Targets:
    """The answer to :class:`AskTargets`.

    Attributes
    ----------
    metrics : tuple of Metric
        By the names of the terms, as they are compared with the targets.
    loss : float
        NaN where it cannot be judged.
    reason : str
        Why it cannot.
    misses : dict of str to Miss
        Of the terms that have a value.
    amplitudes : dict of str to (ndarray, ndarray)
        Protocol → targets of its amplitudes and their sd, in the unit of its trace.
    """

    metrics: tuple[Metric, ...]
    loss: float
    reason: str = ""
    misses: dict[str, Miss] = field(default_factory=dict)
    amplitudes: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)


@dataclass(frozen=True)
class Point:
    """The answer to :class:`AskPoint`."""

    protocol: str
    frequency: float
    metrics: tuple[Metric, ...]


@dataclass(frozen=True)
class Better:
    """The course of a fit: the best point so far.

    Attributes
    ----------
    evaluations : int
    budget : int or None
    loss : float
    values : dict of str to float
    """

    evaluations: int
    budget: int | None
    loss: float
    values: dict[str, float]


@dataclass(frozen=True)
class Fitted:
    """The end of a fit: the values of its result, and the line that tells how it ended."""

    values: dict[str, float]
    loss: float
    status: str
    message: str


@dataclass(frozen=True)
class Refused:
    """What cannot be simulated, or what a mechanism has done to its process.

    Attributes
    ----------
    text : str
        One message.
    problems : tuple of (str, str)
        Path of a field → what is wrong there.
    ended : bool
        Whether the process is gone.
    """

    text: str
    problems: tuple[tuple[str, str], ...] = ()
    ended: bool = False


Answer = Facts | Traces | Measured | Targets | Point | Better | Fitted | Refused


def value_of(measured: Sequence[Metric], name: str) -> float:
    """Return the value of a scalar metric by the metric's own name; NaN without one."""
    for metric in measured:
        if metric.metric == name and isinstance(metric.value, float):
            return metric.value
    return float("nan")
