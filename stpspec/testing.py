"""Contract tests for plug-ins: inherit a class, name the thing, run pytest.

Nothing here needs NEURON. For example::

    from stpspec.testing import MetricContract


    class TestLateRatio(MetricContract):
        metric = "late_ratio"
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
import yaml

from stpspec.engine.analytic import event_map, trace
from stpspec.engine.bind import Bound
from stpspec.engine.mechanisms import Mechanism
from stpspec.errors import MetricError
from stpspec.fitters.base import Outcome, run
from stpspec.fitters.problem import Problem
from stpspec.metrics.base import Metric
from stpspec.metrics.measure import Measurement
from stpspec.metrics.response import Response
from stpspec.registry import FITTERS, LOSSES, METRICS, PROTOCOLS
from stpspec.spec.experiment import Experiment
from stpspec.spec.protocol import Continuous, Protocol, Timing, Train

SYNAPSE = {"U": 0.25, "D": 706.0, "F": 21.0}
RISE, DECAY = 0.5, 5.0  # ms
ONSET, DELAY, DT = 50.0, 1.3, 0.025  # ms


# -- responses of a known synapse ---------------------------------------------------------------


def response_to(protocol: Protocol, *, scale: float = 100.0, shift: float = 0.0) -> Response:
    """Return the exact response of a known synapse (or of two passive cells) to a protocol.

    Parameters
    ----------
    protocol : Protocol
    scale : float
        Amplitude at full release, pA; negative for an inward current.
    shift : float
        ms by which everything comes later.
    """
    stimulus = protocol.stimulus(Timing(DECAY, SYNAPSE["D"], SYNAPSE["F"]))
    onset = ONSET + shift
    time = np.arange(0.0, onset + stimulus.stop + DT, DT)
    description: dict[str, Any] = {
        "onset": onset, "delay": DELAY, "spikes": [onset + s for s in stimulus.spikes],
        "n_induction": stimulus.n_induction, "default_signal": "synaptic_current", "step": None,
    }  # fmt: skip
    if stimulus.step is not None:
        return _coupled(time, description, stimulus.step)
    spikes = np.array(description["spikes"])
    released = np.ravel(event_map(SYNAPSE["U"], SYNAPSE["D"], SYNAPSE["F"], spikes))
    signal = scale * np.ravel(trace(spikes + DELAY, released, time, RISE, DECAY))
    return Response(time, {"synaptic_current": signal}, {"synaptic_current": "pA"}, description)


def _coupled(time: np.ndarray, description: dict[str, Any], step: Any) -> Response:
    start, stop = description["onset"], description["onset"] + step.duration
    shape = np.where(time < start, 0, 1 - np.exp(-(time - start) / 10.0))
    shape = np.where(time > stop, np.exp(-(time - stop) / 10.0), shape)
    mine, other = 1e3 * step.amplitude * 0.1 * shape, 1e3 * step.amplitude * 0.01 * shape
    first, second = (mine, other) if step.cell == 1 else (other, mine)
    description["step"] = {"amplitude": step.amplitude, "start": start, "stop": stop,
                           "cell": step.cell}  # fmt: skip
    signals = {"somatic_voltage_1": first - 70, "somatic_voltage_2": second - 70}
    response = Response(time, signals, dict.fromkeys(signals, "mV"), description)
    reverse = _reverse(description, time, signals)
    response.find_siblings = lambda: [reverse]
    return response


def _reverse(
    description: Mapping[str, Any], time: np.ndarray, signals: Mapping[str, np.ndarray]
) -> Response:
    """Return the response of the same two (equal) cells to the step into the other one."""
    step = {**description["step"], "cell": 3 - description["step"]["cell"]}
    swapped = {
        "somatic_voltage_1": signals["somatic_voltage_2"],
        "somatic_voltage_2": signals["somatic_voltage_1"],
    }
    return Response(time, swapped, dict.fromkeys(swapped, "mV"), {**description, "step": step})


# -- contracts ----------------------------------------------------------------------------------


class MetricContract:
    """A metric is named, has a unit, measures a known response, and needs a response.

    Attributes
    ----------
    metric : str
        Registered name.
    protocol : Protocol
        What it is measured on.
    options : dict
    """

    metric: ClassVar[str]
    protocol: ClassVar[Protocol] = Train()
    options: ClassVar[dict[str, Any]] = {}

    def definition(self) -> Metric:
        """Return the registered metric."""
        return METRICS.get(self.metric)

    def value(self, **change: Any) -> np.ndarray:
        """Measure the known response."""
        options = self.definition().options.model_validate(self.options)
        response = response_to(self.protocol, **change)
        return np.asarray(
            self.definition().function(response, **options.model_dump(exclude_unset=True)), float
        )

    def test_it_has_a_unit_and_says_what_it_is(self) -> None:
        """The command ``stpspec list metrics`` shows both."""
        assert isinstance(self.definition().unit, str)
        assert self.definition().unit
        assert (self.definition().function.__doc__ or "").strip()

    def test_its_protocol_gives_what_it_needs(self) -> None:
        """``needs`` speaks of things that protocols provide."""
        assert set(self.definition().needs) <= self.protocol.provides()

    def test_it_gives_finite_numbers_of_its_shape(self) -> None:
        """One number, or a vector if it says so."""
        assert np.isfinite(self.value()).all()
        assert self.value().ndim == int(self.definition().vector)

    def test_it_does_not_depend_on_when_the_stimulus_comes(self) -> None:
        """Times are measured from the stimulus."""
        np.testing.assert_allclose(self.value(shift=7.5), self.value(), rtol=1e-6, atol=1e-9)

    def test_a_ratio_or_time_does_not_depend_on_size_and_sign(self) -> None:
        """Only what is in the unit of the signal scales with it."""
        if not self.definition().reads_signal or "signal" in self.definition().unit:
            return
        np.testing.assert_allclose(self.value(scale=-0.3), self.value(), rtol=1e-6, atol=1e-9)

    def test_it_never_makes_up_a_number_for_a_silent_synapse(self) -> None:
        """0 in the unit of the signal is an amplitude; anything else is a MetricError."""
        if not self.definition().reads_signal:
            return
        reason = ""
        try:
            value = self.value(scale=0.0)
        except MetricError as error:
            value, reason = np.zeros(1), str(error)
        assert reason or "signal" in self.definition().unit
        assert (value == 0).all()

    def test_an_unknown_option_is_refused(self) -> None:
        """A misspelled option must not be ignored."""
        assert _refuses(lambda: self.definition().options.model_validate({"no_such_option": 1}))


class LossContract:
    """A loss is 0 at the target, never negative, and does not fall further away.

    Attributes
    ----------
    loss : str
        Registered name.
    target : float
    """

    loss: ClassVar[str]
    target: ClassVar[float] = 2.0
    options: ClassVar[dict[str, Any]] = {}

    def penalty(self, *values: float) -> np.ndarray:
        """Return the penalties of some achieved values, with an sd of 0.5."""
        loss = LOSSES.get(self.loss)
        options = loss.options.model_validate(self.options).model_dump()
        full = np.full(len(values), self.target)
        return np.asarray(loss.function(np.array(values), full, np.full_like(full, 0.5), **options))

    def test_it_is_zero_at_the_target(self) -> None:
        """A hit costs nothing."""
        np.testing.assert_allclose(self.penalty(self.target), 0.0, atol=1e-15)

    def test_it_is_never_negative_and_grows_with_the_miss(self) -> None:
        """On both sides of the target."""
        for sign in (1, -1):
            values = self.target * (1 + sign * np.linspace(0.0, 0.9, 19))
            penalties = self.penalty(*values)
            assert (penalties >= 0).all()
            assert (np.diff(penalties) >= -1e-12).all()
            assert penalties[-1] > 0

    def test_an_unknown_option_is_refused(self) -> None:
        """A misspelled option must not be ignored."""
        assert _refuses(lambda: LOSSES.get(self.loss).options.model_validate({"no_such": 1}))


class ProtocolContract:
    """A protocol is data, gives a stimulus, and provides what it says.

    Attributes
    ----------
    protocol : Protocol
    """

    protocol: ClassVar[Protocol]

    def test_it_is_registered_under_its_kind(self) -> None:
        """YAML finds it."""
        assert PROTOCOLS.get(self.protocol.kind) is type(self.protocol)

    def test_it_goes_through_yaml_and_json_unchanged(self) -> None:
        """A spec is data."""
        data = self.protocol.model_dump(mode="json")
        for back in (json.loads(json.dumps(data)), yaml.safe_load(yaml.safe_dump(data))):
            assert type(self.protocol).model_validate(back) == self.protocol

    def test_its_stimulus_begins_at_zero_or_later_and_ends_after_the_last_event(self) -> None:
        """The last response is measured like the others."""
        stimulus = self.protocol.stimulus(Timing(DECAY, SYNAPSE["D"], SYNAPSE["F"]))
        assert bool(stimulus.spikes) != (stimulus.step is not None)
        assert stimulus.stop > 0
        if stimulus.spikes:
            assert stimulus.spikes[0] >= 0
            assert (np.diff(stimulus.spikes) > 0).all()
            assert stimulus.stop > stimulus.spikes[-1]

    def test_every_metric_whose_needs_it_provides_can_be_measured(self) -> None:
        """What ``provides`` promises is there."""
        for name in METRICS.names():
            metric: Metric = METRICS.get(name)
            required = any(f.is_required() for f in metric.options.model_fields.values())
            if required or not set(metric.needs) <= self.protocol.provides():
                continue
            assert np.isfinite(metric.function(response_to(self.protocol))).all(), name


# -- problems for fitters -----------------------------------------------------------------------

Function = Callable[[np.ndarray], Any]  # unit cube → residuals, or the reason of a failure


def _parabola(x: np.ndarray) -> Any:
    return [x[0] - 0.3, 2 * (x[1] - 0.6)]


def _rosenbrock(x: np.ndarray) -> Any:
    a, b = 4 * x[0] - 2, 4 * x[1] - 1.5
    return [10 * (b - a**2), 1 - a]


def _coupling_curve(x: np.ndarray) -> Any:
    g = 10 ** (4 * x[0] - 2)
    return [50 * (g / (g + 10.0) - 0.05), 0.1 * (x[1] - 0.5)]


def _staircase(x: np.ndarray) -> Any:
    return [np.round(20 * (x[0] - 0.3)) / 20, np.round(20 * (x[1] - 0.6)) / 20]


def _noise(x: np.ndarray) -> Any:
    wiggle = 1e-3 * np.sin(1e4 * x)
    return [x[0] - 0.3 + wiggle[0], x[1] - 0.6 + wiggle[1]]


def _nan_region(x: np.ndarray) -> Any:
    return "the mechanism divides by zero" if x[0] > 0.7 else _parabola(x)


def _at_bound(x: np.ndarray) -> Any:
    return [x[0] + 0.5, x[1] - 0.6]


PROBLEMS: dict[str, tuple[Function, float]] = {
    # name → (residuals, smallest possible loss)
    "parabola": (_parabola, 0.0),
    "rosenbrock": (_rosenbrock, 0.0),
    "coupling_curve": (_coupling_curve, 0.0),
    "staircase": (_staircase, 0.0),
    "noise": (_noise, 0.0),
    "nan_region": (_nan_region, 0.0),
    "at_bound": (_at_bound, 0.25),
}


def problem(fitter: Any, name: str, *, seed: int = 0, parameters: int = 2) -> Problem:
    """Return one of :data:`PROBLEMS` for a fitter, without NEURON.

    Parameters
    ----------
    fitter : FitterSpec
    name : str
    seed : int
    parameters : int
        1 or 2; with 1 the second coordinate stands at its optimum.
    """
    function, _ = PROBLEMS[name]
    names = ["x", "y"][:parameters]
    term = {"metric": "amplitude", "protocol": "single", "target": 0.0}
    experiment = Experiment.from_data(
        {
            "name": name,
            "model": {"cell": {"file": "patch.py", "template": "Patch"}, "mechanism": "None"},
            "protocols": {"single": {"kind": "single_event"}},
            "parameters": {n: {"min": 0, "max": 1} for n in names},
            "objective": {"terms": {"r0": term, "r1": term}},
            "fitter": fitter.model_dump(),
            "seed": seed,
        }
    )

    def evaluate(columns: Mapping[str, np.ndarray]) -> list[dict[str, Measurement]]:
        points = np.stack([*columns.values()], axis=1)
        if parameters == 1:
            optimum = {"rosenbrock": 0.625, "coupling_curve": 0.5}.get(name, 0.6)
            points = np.column_stack([points, np.full(len(points), optimum)])
        return [_measured(function(point)) for point in points]

    mechanism = Mechanism("None", {}, frozenset(), frozenset(), frozenset(), {})
    bound = Bound(experiment, mechanism, dict.fromkeys(names, "1"), {}, ())
    return Problem(bound, evaluate)


def _measured(result: Any) -> dict[str, Measurement]:
    if isinstance(result, str):
        return {n: Measurement(np.array(np.nan), "1", result) for n in ("r0", "r1")}
    return {f"r{i}": Measurement(np.array(float(r)), "1") for i, r in enumerate(result)}


class FitterContract:
    """A fitter keeps its budget, is repeatable, survives failures, and finds what it claims.

    Attributes
    ----------
    fitter : FitterSpec
    parameters : int
        2, or 1 for a fitter of one parameter.
    solves : dict of str to float
        Problems whose smallest loss it must reach, and how near.
    """

    fitter: ClassVar[Any]
    parameters: ClassVar[int] = 2
    solves: ClassVar[dict[str, float]] = {"parabola": 1e-3}

    def fitted(self, name: str, **changes: Any) -> tuple[Problem, Outcome]:
        """Run the fitter on a problem."""
        fitter = self.fitter.copy_with(**changes)
        made = problem(fitter, name, parameters=self.parameters)
        return made, run(made)

    def test_it_is_registered_under_its_kind(self) -> None:
        """YAML finds it."""
        assert FITTERS.get(self.fitter.kind) is type(self.fitter)

    def test_it_ends_on_every_problem_with_a_reason_and_no_worse_than_it_began(self) -> None:
        """Whatever the loss does: steps, noise, regions that fail."""
        for name in PROBLEMS:
            made, outcome = self.fitted(name)
            first = next(e.loss for e in made.history if not e.failed)
            assert made.best.loss <= first, name
            assert outcome.status in ("converged", "budget", "finished", "stopped"), name
            assert outcome.message, name

    def test_it_reaches_the_optimum_of_the_problems_that_it_claims_to_solve(self) -> None:
        """How near is said in ``solves``."""
        for name, near in self.solves.items():
            made, _ = self.fitted(name)
            assert made.best.loss - PROBLEMS[name][1] <= near, name

    def test_it_keeps_to_its_budget_of_evaluations(self) -> None:
        """To the evaluation."""
        made, _ = self.fitted("rosenbrock", budget={"evaluations": 7})
        assert len(made.history) <= 7

    def test_it_stays_within_the_bounds(self) -> None:
        """Every point it asks for is in the unit cube."""
        made, _ = self.fitted("at_bound")
        points = np.array([e.point for e in made.history])
        assert ((points >= 0) & (points <= 1)).all()

    def test_the_same_seed_gives_the_same_history(self) -> None:
        """To the bit."""
        first, again = (self.fitted("rosenbrock")[0] for _ in range(2))
        assert [e.values for e in first.history] == [e.values for e in again.history]
        assert [e.loss for e in first.history] == [e.loss for e in again.history]

    def test_a_failed_evaluation_is_kept_with_its_reason_and_without_a_number(self) -> None:
        """Failure is never a number in disguise."""
        made, _ = self.fitted("nan_region", start="random", n_starts=8)
        for evaluation in made.history:
            assert evaluation.failed == bool(np.isnan(evaluation.loss))
            assert evaluation.failed == (evaluation.point[0] > 0.7)


def _refuses(action: Callable[[], Any]) -> bool:
    try:
        action()
    except ValueError:
        return True
    return False


DRIVE = Continuous(duration=300.0)
"""A protocol for metrics of a steady state."""
