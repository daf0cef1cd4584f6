"""Short-term plasticity: paired pulses, induction, recovery, amplitude vectors, steady state.

Definitions of the presets: ``max`` and ``percentile_90`` are common in modelling;
``allen`` follows the Allen Institute's Synaptic Physiology analysis (Campagnola et al. 2022,
doi:10.1126/science.abj5861).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple, Self, TypedDict, Unpack

import numpy as np
from pydantic import Field, model_validator

from stpspec.errors import MetricError
from stpspec.metrics.registration import Options, ResponseOptions, metric
from stpspec.metrics.response import Response
from stpspec.specs.quantities import Quantity
from stpspec.specs.stimulus import Stimulus
from stpspec.units import convert, number_of


class NormalizationOptions(ResponseOptions):
    """How induction and recovery are normalized and averaged; laboratories differ."""

    preset: Literal["max", "percentile_90", "allen"] = "max"
    normalizer: Literal["max", "percentile_90", "first", "value"] | None = Field(
        default=None, description="N; by default the preset's"
    )
    average: Literal["mean", "median"] | None = None
    scope: Literal["trial", "all"] | None = Field(
        default=None, description="N from this train, or from all protocols and trials"
    )
    value: Quantity | None = Field(
        default=None, description="N itself, in the unit of the signal, or with a unit"
    )
    scale: float = Field(default=1.0, gt=0, description="N is multiplied by it")

    @model_validator(mode="after")
    def _value_belongs_to_normalizer(self) -> Self:
        if self.normalizer == "value" and self.value is None:
            raise ValueError("normalizer 'value' needs the option value, in the signal's unit")
        if self.value is not None and self.normalizer not in (None, "value"):
            raise ValueError(f"value is used by normalizer 'value' only (got {self.normalizer!r})")
        if self.value is not None and number_of(self.value) <= 0:
            raise ValueError(f"value must be above 0 (got {self.value!r})")
        return self


_PRESETS: dict[str, tuple[str, str, str]] = {
    "max": ("max", "mean", "trial"),
    "percentile_90": ("percentile_90", "mean", "trial"),
    "allen": ("percentile_90", "median", "all"),
}


class _Normalization(TypedDict, total=False):
    """The further fields of :class:`NormalizationOptions`, as far as they are set."""

    preset: str
    normalizer: str | None
    average: str | None
    scope: str | None
    value: float | str | None
    scale: float


class _Rule(NamedTuple):
    """How to normalize and average; N is multiplied by ``scale``."""

    normalizer: str
    average: str
    scope: str
    value: float | str | None
    scale: float


def _rule(
    preset: str = "max",
    normalizer: str | None = None,
    average: str | None = None,
    scope: str | None = None,
    value: float | str | None = None,
    scale: float = 1.0,
) -> _Rule:
    n, a, s = _PRESETS[preset]
    chosen = normalizer or ("value" if value is not None else n)
    return _Rule(chosen, average or a, scope or s, value, scale)


def _pools(options: Options) -> bool:
    """Tell whether N is taken over all protocols of the experiment."""
    known = {n: options[n] for n in (*_Rule._fields, "preset") if n in options}
    return _rule(**known).scope == "all"


def _up_to(last: Callable[[Stimulus], int | None]) -> Callable[[Options, Stimulus], int | None]:
    """Return what a metric reads whose own pulses end at ``last``: all where N does."""

    def pulses(options: Options, stimulus: Stimulus) -> int | None:
        known = {n: options[n] for n in (*_Rule._fields, "preset") if n in options}
        alone = _rule(**known).normalizer in ("first", "value")
        return last(stimulus) if alone else None

    return pulses


def _normalizer(response: Response, rule: _Rule) -> float:
    """Return N, in the unit of the signal, and explain it."""
    amplitudes = response.amplitudes
    pool, where = amplitudes, "of this train"
    if rule.scope == "all" and rule.normalizer in ("max", "percentile_90"):
        pool = np.concatenate([amplitudes, *(s.amplitudes for s in response.siblings)])
        where = "over all pulses of all protocols and trials"
    if rule.value is not None:
        n, text = convert(rule.value, response.unit), "given"
    elif rule.normalizer == "first":
        n, text = float(amplitudes[0]), "a1"
    elif rule.normalizer == "max":
        n, text = float(pool.max()), f"largest amplitude {where}"
    else:
        n, text = float(np.percentile(pool, 90)), f"90th percentile {where}"
    if rule.scale != 1:
        n, text = n * rule.scale, f"{rule.scale:g} × {text}"
    if not n > 0:
        raise MetricError(f"the normalizer N must be above 0 ({text}: N = {n:.4g})")
    response.step(f"N = {text} = {n:.5g} {response.unit}")
    return n


def _mean(values: np.ndarray, average: str) -> float:
    return float(np.median(values) if average == "median" else np.mean(values))


def _list(response: Response, first: int, values: np.ndarray) -> str:
    names = f"a{first}…a{first + values.size - 1}" if values.size > 1 else f"a{first}"
    return f"{names} = {', '.join(f'{v:.5g}' for v in values)} {response.unit}"


@metric(
    "paired_pulse_ratio",
    "1",
    needs=("pair",),
    of_amplitudes=True,
    pulses=lambda options, stimulus: 2,
    is_magnitude=True,
)
def paired_pulse_ratio(response: Response) -> float:
    """a2 / a1; above 1 facilitates."""
    a = response.amplitudes
    if a[0] <= 0:
        raise MetricError("paired_pulse_ratio = a2 / a1 needs a first response: a1 is 0")
    response.step(f"paired_pulse_ratio = a2 / a1 = {a[1]:.5g} / {a[0]:.5g} = {a[1] / a[0]:.5g}")
    return float(a[1] / a[0])


@metric(
    "initial",
    "1",
    needs=("pair",),
    options=NormalizationOptions,
    siblings=_pools,
    of_amplitudes=True,
    pulses=_up_to(lambda stimulus: 2),
)
def initial(response: Response, **options: Unpack[_Normalization]) -> float:
    """(a2 − a1) / N."""
    a = response.amplitudes
    n = _normalizer(response, _rule(**options))
    result = float((a[1] - a[0]) / n)
    response.step(f"initial = (a2 − a1) / N = ({a[1]:.5g} − {a[0]:.5g}) / {n:.5g} = {result:.5g}")
    return result


@metric(
    "induction",
    "1",
    needs=("induction",),
    options=NormalizationOptions,
    siblings=_pools,
    of_amplitudes=True,
    pulses=_up_to(lambda stimulus: stimulus.n_induction),
)
def induction(response: Response, **options: Unpack[_Normalization]) -> float:
    """(mean of the last three induction pulses − a1) / N; above 0 facilitates.

    With preset ``allen`` the median of the three.
    """
    a, last = response.amplitudes, _n_induction(response)
    rule = _rule(**options)
    response.step(_list(response, last - 2, a[last - 3 : last]))
    n = _normalizer(response, rule)
    late = _mean(a[last - 3 : last], rule.average)
    result = float((late - a[0]) / n)
    response.step(
        f"induction = ({rule.average}(a{last - 2}…a{last}) − a1) / N = "
        f"({late:.5g} − {a[0]:.5g}) / {n:.5g} = {result:.5g}"
    )
    return result


@metric(
    "recovery",
    "1",
    needs=("recovery_4",),
    options=NormalizationOptions,
    siblings=_pools,
    of_amplitudes=True,
)
def recovery(response: Response, **options: Unpack[_Normalization]) -> float:
    """(mean of the first four recovery pulses − mean of a1…a4) / N.

    With preset ``allen`` the median over i = 1…4 of (a(i + n_induction) − a(i)), divided by N.
    """
    a, last = response.amplitudes, _n_induction(response)
    rule = _rule(**options)
    after, before = a[last : last + 4], a[:4]
    response.step(_list(response, last + 1, after))
    response.step(_list(response, 1, before))
    n = _normalizer(response, rule)
    if rule.average == "median":
        difference = float(np.median(after - before))
        text = f"median(a{last + 1} − a1, …, a{last + 4} − a4) / N = {difference:.5g}"
    else:
        difference = float(after.mean() - before.mean())
        text = (f"(mean(a{last + 1}…a{last + 4}) − mean(a1…a4)) / N = "
                f"({after.mean():.5g} − {before.mean():.5g})")  # fmt: skip
    response.step(f"recovery = {text} / {n:.5g} = {difference / n:.5g}")
    return difference / n


@metric(
    "recovery_single",
    "1",
    needs=("recovery",),
    options=NormalizationOptions,
    siblings=_pools,
    of_amplitudes=True,
)
def recovery_single(response: Response, **options: Unpack[_Normalization]) -> float:
    """(first recovery pulse − a1) / N."""
    a, last = response.amplitudes, _n_induction(response)
    n = _normalizer(response, _rule(**options))
    result = float((a[last] - a[0]) / n)
    response.step(
        f"recovery_single = (a{last + 1} − a1) / N = "
        f"({a[last]:.5g} − {a[0]:.5g}) / {n:.5g} = {result:.5g}"
    )
    return result


@metric(
    "amplitudes", "signal", vector=True,
    size=lambda options, stimulus: len(stimulus.spikes),
    unit_by=lambda options: "1" if options.get("normalizer") == "first" else "signal",
    of_amplitudes=True, is_magnitude=True,
    divides_by_first=lambda options: options.get("normalizer") == "first",
)  # fmt: skip
def amplitudes(response: Response, *, normalizer: Literal["none", "first"] = "none") -> np.ndarray:
    """The vector a1 … an; ``normalizer: first`` divides it by a1 (unit 1).

    The noise of a1 is then in all of them, which the misses and standard errors allow for; the
    ``sd`` is that of a single amplitude, as a fraction of a1.
    """
    a = response.amplitudes
    if normalizer == "none":
        return a
    if a[0] <= 0:
        raise MetricError("amplitudes divided by a1 need a first response: a1 is 0")
    return a / a[0]


@metric("steady_state", "1", needs=("drive",), of_amplitudes=True, is_magnitude=True)
def steady_state(response: Response) -> float:
    """Mean of the last three pulses of a continuous drive, divided by a1."""
    a = response.amplitudes
    if a.size < 4:
        raise MetricError(f"steady_state needs at least 4 pulses (got {a.size})")
    if a[0] <= 0:
        raise MetricError("steady_state is divided by a1, and a1 is 0")
    last = a[-3:]
    drift = float(np.ptp(last) / last.mean()) if last.mean() > 0 else 0.0
    if drift > 0.01:
        response.note(
            f"not steady: the last 3 of {a.size} pulses still drift by {100 * drift:.1f} %; "
            f"a longer drive is needed"
        )
    result = float(last.mean() / a[0])
    response.step(
        f"steady_state = mean(a{a.size - 2}…a{a.size}) / a1 = "
        f"{last.mean():.5g} / {a[0]:.5g} = {result:.5g}"
    )
    return result


def _n_induction(response: Response) -> int:
    n = response.n_induction
    if n is None:
        raise MetricError("this protocol does not say which pulses are induction (n_induction)")
    return n
