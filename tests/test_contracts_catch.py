"""A broken plug-in breaks its contract."""

from typing import Literal

import numpy as np
import pytest

import stpspec
from stpspec.fitters.outcome import Outcome
from stpspec.registry import LOSSES, METRICS, PROTOCOLS
from stpspec.specs.fitter import FitterSpec
from stpspec.specs.protocol import Protocol
from stpspec.specs.stimulus import Stimulus
from stpspec.testing import FitterContract, LossContract, MetricContract, ProtocolContract
from stpspec.units import UnitError


@pytest.fixture(autouse=True)
def registries(monkeypatch):
    """Forget afterwards what is registered here."""
    for registry in (METRICS, LOSSES, PROTOCOLS):
        registry.names()
        monkeypatch.setattr(registry, "_things", dict(registry._things))


def normalizes_in_place(response):
    """Second over first; the next metric finds the quotients."""
    response.amplitudes[:] = response.amplitudes / response.amplitudes[0]
    return float(response.amplitudes[1])


def reads_a_second_pulse(response):
    """Needs a pair, but says that one event is enough."""
    return float(response.amplitudes[1] / response.amplitudes[0])


def is_zero_when_silent(response):
    """A ratio that is 0 where there is none."""
    first = response.amplitudes[0]
    return float(response.amplitudes[1] / first) if first else 0.0


@pytest.mark.parametrize(
    ("function", "unit", "promise"),
    [
        (normalizes_in_place, "1", "test_it_leaves_the_response_as_it_was"),
        (reads_a_second_pulse, "1", "test_it_needs_all_that_it_reads"),
        (is_zero_when_silent, "1", "test_it_never_makes_up_a_number_for_a_silent_synapse"),
        (is_zero_when_silent, "ratios", "test_it_has_a_unit_and_says_what_it_is"),
    ],
)
def test_a_broken_metric_is_caught(function, unit, promise):
    needs = ("event",) if function is reads_a_second_pulse else ("pair",)
    stpspec.metric("broken", unit=unit, needs=needs)(function)
    contract = type("Broken", (MetricContract,), {"metric": "broken"})()
    with pytest.raises((AssertionError, IndexError, UnitError)):
        getattr(contract, promise)()


def subtracts_in_place(value, target, sd):
    """The achieved values become misses."""
    value -= target
    return (value / sd) ** 2


def has_a_corner(value, target, sd):
    """Least squares would divide by nearly zero."""
    return np.abs(value - target) / sd


def looks_one_way(value, target, sd):
    """Below the target everything is free."""
    return np.where(value > target, ((value - target) / sd) ** 2, 0.0)


@pytest.mark.parametrize(
    ("function", "promise"),
    [
        (subtracts_in_place, "test_it_leaves_what_it_is_given_as_it_was"),
        (has_a_corner, "test_as_residuals_it_has_no_corner_at_the_target"),
        (looks_one_way, "test_it_is_never_negative_and_grows_with_the_miss"),
    ],
)
def test_a_broken_loss_is_caught(function, promise):
    stpspec.loss("broken", residuals=True)(function)
    contract = type("Broken", (LossContract,), {"loss": "broken"})()
    with pytest.raises(AssertionError):
        getattr(contract, promise)()


class ByChance(Protocol):
    """Two events, each time others."""

    kind: Literal["by_chance"] = "by_chance"

    def stimulus(self, timing):
        second = float(np.random.default_rng().uniform(10, 30))
        return Stimulus((0.0, second), second + 50)

    def provides(self):
        return frozenset({"event", "pair"})


class OneOfTwo(ByChance):
    """One event where it promises a pair."""

    def stimulus(self, timing):
        return Stimulus((0.0,), 50.0)


@pytest.mark.parametrize(
    ("protocol", "promise"),
    [
        (ByChance, "test_its_stimulus_is_the_same_every_time"),
        (OneOfTwo, "test_every_metric_whose_needs_it_provides_can_be_measured"),
    ],
)
def test_a_broken_protocol_is_caught(protocol, promise):
    contract = type("Broken", (ProtocolContract,), {"protocol": protocol()})()
    with pytest.raises((AssertionError, IndexError)):
        getattr(contract, promise)()


class Fitter(FitterSpec):
    """Looks at some points."""

    kind: Literal["broken"] = "broken"

    def points(self, problem):
        """Return where it looks."""
        return np.random.default_rng(problem.seed).random((12, problem.n))

    def minimize(self, problem):
        for point in self.points(problem):
            self.look(problem, point)
        return Outcome("finished", "looked at twelve points")

    def look(self, problem, point):
        """Evaluate one point."""
        problem.evaluate(point[None])


class Outside(Fitter):
    """Looks outside of the bounds."""

    def points(self, problem):
        return 3 * super().points(problem) - 1


class Unseeded(Fitter):
    """Looks elsewhere each time."""

    def points(self, problem):
        return np.random.default_rng().random((12, problem.n))


class Deaf(Fitter):
    """Goes on whatever it is told."""

    def look(self, problem, point):
        try:
            problem.evaluate(point[None])
        except BaseException:
            return


@pytest.mark.parametrize(
    ("fitter", "promise"),
    [
        (Outside, "test_it_stays_within_the_bounds"),
        (Unseeded, "test_the_same_seed_gives_the_same_history"),
        (Deaf, "test_it_keeps_to_its_budget_of_evaluations"),
        (Deaf, "test_ctrl_c_ends_it_and_keeps_what_it_had_found"),
        (Fitter, "test_it_reaches_the_optimum_of_the_problems_that_it_claims_to_solve"),
    ],
)
def test_a_broken_fitter_is_caught(fitter, promise, monkeypatch):
    from stpspec.registry import FITTERS

    monkeypatch.setattr(FITTERS, "_things", {**FITTERS._things, "broken": fitter})
    contract = type("Broken", (FitterContract,), {"fitter": fitter()})()
    with pytest.raises(AssertionError):
        getattr(contract, promise)()
