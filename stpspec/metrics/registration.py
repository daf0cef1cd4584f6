"""The decorators that make a plain function a metric, a loss or a cost function."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import Field, create_model

from stpspec.registry import COSTS, LOSSES, METRICS
from stpspec.specs.base import Spec
from stpspec.specs.plausible import Range
from stpspec.specs.quantities import Millisecond
from stpspec.specs.stimulus import Stimulus

if TYPE_CHECKING:
    from numpy.typing import ArrayLike  # numpy is not loaded for the sake of a type

# Name → value, each of the type that the option has; the signature of a metric says which.
Options = Mapping[str, Any]

Measure = Callable[..., "ArrayLike"]  # function(response, *, options…)
Penalty = Callable[..., "ArrayLike"]  # function(value, target, sd, *, options…)
M = TypeVar("M", bound=Measure)
L = TypeVar("L", bound=Penalty)
C = TypeVar("C", bound=Callable[..., float])


class SignalOptions(Spec):
    """Options that every metric of a signal takes."""

    signal: str | None = Field(default=None, description="by default the recording's own")
    trials: Literal["mean", "each"] = Field(
        default="mean", description="measure the mean trace, or each"
    )


class ResponseOptions(SignalOptions):
    """Options that every metric of the responses in a signal takes."""

    baseline: Literal["pre_train", "local", "extrapolated"] = "extrapolated"
    decay: Annotated[Millisecond, Range("ms", 0.05, 5000)] | None = Field(
        default=None,
        gt=0,
        description="time constant that continues the residue; fitted by default",
    )
    direction: Literal["auto", "positive", "negative"] = "auto"


class NoOptions(Spec):
    """Base of options without any common field."""


def _options_of(function: Callable[..., object], base: type[Spec], skip: int) -> type[Spec]:
    """Make a spec of a function's keyword-only parameters."""
    hints = typing.get_type_hints(function, include_extras=True)
    fields: dict[str, Any] = {}  # as pydantic takes them: (type, default)
    for name, p in list(inspect.signature(function).parameters.items())[skip:]:
        if p.kind is inspect.Parameter.VAR_KEYWORD:
            continue
        if p.kind is not inspect.Parameter.KEYWORD_ONLY:
            raise TypeError(
                f"{function.__qualname__}: options must be keyword-only, after a * (got {name!r})"
            )
        default = ... if p.default is inspect.Parameter.empty else p.default
        fields[name] = (hints.get(name, Any), default)
    name = getattr(function, "__name__", "options")
    return create_model(f"{name}_options", __base__=base, **fields)


@dataclass(frozen=True)
class Metric:
    """A metric: a function of a :class:`~stpspec.metrics.response.Response`, with its unit.

    Attributes
    ----------
    name : str
    unit : str
        ``"signal"`` stands for the unit of the signal, ``"signal ms"`` for that times ms.
    needs : tuple of str
        What the protocol must provide (see :data:`stpspec.specs.consistency.NEEDS`).
    vector : bool
        Whether it returns several numbers.
    reads_signal : bool
        Whether it reads the one signal that its options name.
    function : callable
    is_magnitude : bool
        Whether it is a size, which has no sign: no target of it is below 0.
    divides_by_first : callable, optional
        ``divides_by_first(options)``: whether all values are divided by the first of them.
    is_sampled : bool
        Whether its values are samples of one trace, whose errors may be correlated.
    """

    name: str
    unit: str
    needs: tuple[str, ...]
    vector: bool
    reads_signal: bool
    function: Measure
    extra_options: type[Spec] | None = None
    siblings: bool | Callable[[Options], bool] = False
    size: Callable[[Options, Stimulus], int] | None = None
    unit_by: Callable[[Options], str] | None = None
    of_amplitudes: bool = False
    pulses: Callable[[Options, Stimulus], int | None] | None = None
    is_magnitude: bool = False
    divides_by_first: Callable[[Options], bool] | None = None
    is_sampled: bool = False

    def own_ratio(self, options: Options) -> bool:
        """Tell whether, with these options, its values are divided by the first of them."""
        return self.divides_by_first is not None and self.divides_by_first(options)

    def pulses_read(self, options: Options, stimulus: Stimulus) -> int:
        """Return how many leading pulses of a stimulus it reads, with these options."""
        n = self.pulses(options, stimulus) if self.pulses is not None else None
        return len(stimulus.spikes) if n is None else n

    def unit_in(self, signal_unit: str, options: Options) -> str:
        """Return the unit of its values for a signal of some unit, with these options."""
        unit = self.unit_by(options) if self.unit_by else self.unit
        return unit.replace("signal", signal_unit)

    def needs_siblings(self, options: Options) -> bool:
        """Tell whether, with these options, it reads the other protocols of the experiment."""
        return self.siblings(options) if callable(self.siblings) else self.siblings

    @functools.cached_property
    def options(self) -> type[Spec]:
        """Spec of the options."""
        base = self.extra_options or (ResponseOptions if self.reads_signal else NoOptions)
        return _options_of(self.function, base, skip=1)


def metric(
    name: str,
    unit: str,
    *,
    needs: tuple[str, ...] = ("event",),
    vector: bool = False,
    reads_signal: bool = True,
    options: type[Spec] | None = None,
    siblings: bool | Callable[[Options], bool] = False,
    size: Callable[[Options, Stimulus], int] | None = None,
    unit_by: Callable[[Options], str] | None = None,
    of_amplitudes: bool = False,
    pulses: Callable[[Options, Stimulus], int | None] | None = None,
    is_magnitude: bool = False,
    divides_by_first: Callable[[Options], bool] | None = None,
    is_sampled: bool = False,
) -> Callable[[M], M]:
    """Register ``function(response, *, option=default, …)`` as a metric (decorator).

    Parameters
    ----------
    name : str
        How specs call it.
    unit : str
        Unit of what it returns.
    needs : tuple of str
        What the protocol must provide: event, pair, induction, recovery, recovery_4, drive, step.
    vector : bool
        Whether it returns a 1-D array instead of one number.
    reads_signal : bool
        Whether it reads one signal (and takes the options of :class:`ResponseOptions`).
    options : type of Spec, optional
        Options shared by several metrics, a subclass of :class:`ResponseOptions` whose further
        fields the function takes as ``**options``.
    siblings : bool or callable
        Whether it reads ``response.siblings``, the responses to the other protocols, or a function
        of its options that tells. A fit runs only the protocols that its terms need.
    size : callable, optional
        ``size(options, stimulus)``: how many values a vector metric returns (see
        :class:`stpspec.specs.stimulus.Stimulus`); it raises ValueError for what cannot be measured.
    unit_by : callable, optional
        ``unit_by(options)``: the unit, where options change it.
    of_amplitudes : bool
        Whether it reads nothing of the response but its amplitudes and which pulses are induction:
        then the closed form can give it, too.
    pulses : callable, optional
        ``pulses(options, stimulus)``: how many leading pulses it reads; None, and without it: all
        of them. The search of a fit does not simulate what no term reads.
    is_magnitude : bool
        Whether it is a size, such as an amplitude along the response or a time constant, which has
        no sign: a target below 0 is refused.
    divides_by_first : callable, optional
        ``divides_by_first(options)``: whether all values of a vector metric are divided by the
        first of them. That one is no datum then, and the others share its noise.
    is_sampled : bool
        Whether the values of a vector metric are samples of one trace: then they count by how many
        of them are independent.

    Returns
    -------
    decorator
        It returns the function unchanged.
    """

    def decorate(function: M) -> M:
        METRICS.register(name)(
            Metric(
                name,
                unit,
                tuple(needs),
                vector,
                reads_signal,
                function,
                options,
                siblings,
                size,
                unit_by,
                of_amplitudes,
                pulses,
                is_magnitude,
                divides_by_first,
                is_sampled,
            )
        )
        return function

    return decorate


@dataclass(frozen=True)
class Loss:
    """A loss: penalties ≥ 0 of the misses of one term.

    Attributes
    ----------
    function : callable
        ``function(value, target, sd, *, options…) -> penalty``, arrays of one shape.
    residuals : bool
        Whether √penalty, with the sign of the miss, is smooth enough for least squares.
    takes_sd : bool
        Whether it counts a miss in units of the sd, not of the target.
    """

    name: str
    residuals: bool
    function: Penalty
    takes_sd: bool = True

    @functools.cached_property
    def options(self) -> type[Spec]:
        """Spec of the options."""
        return _options_of(self.function, NoOptions, skip=3)


def loss(name: str, *, residuals: bool = False, takes_sd: bool = True) -> Callable[[L], L]:
    """Register ``function(value, target, sd, *, option=default, …)`` as a loss (decorator).

    Parameters
    ----------
    name : str
    residuals : bool
        Whether the signed root of the penalty may be given to least squares.
    takes_sd : bool
        Whether it counts a miss in units of the sd; one that divides by the target does not, and
        needs a target other than 0.
    """

    def decorate(function: L) -> L:
        LOSSES.register(name)(Loss(name, residuals, function, takes_sd))
        return function

    return decorate


@dataclass(frozen=True)
class Cost:
    """A user's cost function of (metrics, targets)."""

    name: str
    function: Callable[..., float]

    @functools.cached_property
    def options(self) -> type[Spec]:
        """Spec of the options."""
        return _options_of(self.function, NoOptions, skip=2)


def cost(name: str) -> Callable[[C], C]:
    """Register ``function(metrics, targets, *, option=default, …) -> float`` (decorator).

    ``metrics`` and ``targets`` are dicts from term name to float or 1-D array.
    """

    def decorate(function: C) -> C:
        COSTS.register(name)(Cost(name, function))
        return function

    return decorate
