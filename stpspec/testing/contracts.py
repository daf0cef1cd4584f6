"""The contracts of metrics, losses and protocols, as classes to inherit."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import ClassVar

import numpy as np
import yaml

from stpspec.errors import MetricError
from stpspec.metrics.registration import Metric
from stpspec.metrics.response import Response
from stpspec.registry import LOSSES, METRICS, PROTOCOLS
from stpspec.specs.protocol import Continuous, Protocol, Train, features
from stpspec.specs.stimulus import Timing
from stpspec.testing.responses import DECAY, SYNAPSE, response_to
from stpspec.units import convert

DRIVE = Continuous(duration=300.0)
"""A protocol for metrics of a steady state."""


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
    options: ClassVar[dict[str, object]] = {}

    def definition(self) -> Metric:
        """Return the registered metric."""
        return METRICS.get(self.metric)

    def value(self, **change: float) -> np.ndarray:
        """Measure the known response."""
        return self.measured(response_to(self.protocol, **change))

    def measured(self, response: Response) -> np.ndarray:
        """Measure a response."""
        options = self.definition().options.model_validate(self.options)
        given = options.model_dump(exclude_unset=True)
        return np.asarray(self.definition().function(response, **given), float)

    def test_it_has_a_unit_and_says_what_it_is(self) -> None:
        """The command ``stpspec list metrics`` shows both."""
        assert isinstance(self.definition().unit, str)
        assert self.definition().unit
        for unit in self.definition().unit.replace("signal", "pA").split(" or "):
            convert(1.0 if unit == "1" else f"1 {unit}", unit)  # raises UnitError
        assert (self.definition().function.__doc__ or "").strip()

    def test_its_protocol_gives_what_it_needs(self) -> None:
        """``needs`` speaks of things that protocols provide."""
        assert set(self.definition().needs) <= features(self.protocol)

    def test_it_gives_finite_numbers_of_its_shape(self) -> None:
        """One number, or a vector if it says so."""
        assert np.isfinite(self.value()).all()
        assert self.value().ndim == int(self.definition().vector)

    def test_it_needs_all_that_it_reads(self) -> None:
        """On every protocol that gives what it needs it has a value, or a MetricError says why."""
        for name in PROTOCOLS.names():
            try:
                protocol = PROTOCOLS.get(name)()
            except ValueError:  # not without fields of its own, as the times of spikes
                continue
            if set(self.definition().needs) <= features(protocol):
                with contextlib.suppress(MetricError):
                    assert np.isfinite(self.measured(response_to(protocol))).all(), name

    def test_it_leaves_the_response_as_it_was(self) -> None:
        """Other metrics read the same one."""
        response = response_to(self.protocol)
        with contextlib.suppress(MetricError):  # a step has no amplitudes
            before = response.amplitudes.copy()
            first, again = self.measured(response), self.measured(response)
            np.testing.assert_array_equal(again, first)
            np.testing.assert_array_equal(response.amplitudes, before)

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
    options: ClassVar[dict[str, object]] = {}

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

    def test_it_leaves_what_it_is_given_as_it_was(self) -> None:
        """The achieved values are reported afterwards."""
        loss = LOSSES.get(self.loss)
        options = loss.options.model_validate(self.options).model_dump()
        given = [np.full(3, self.target) + np.arange(3.0), np.full(3, self.target), np.full(3, 0.5)]
        before = [array.copy() for array in given]
        loss.function(*given, **options)
        np.testing.assert_array_equal(given, before)

    def test_as_residuals_it_has_no_corner_at_the_target(self) -> None:
        """Least squares takes its square root, which must not rise steeper and steeper there."""
        if not LOSSES.get(self.loss).residuals:
            return
        steps = np.array([1e-2, 1e-4, 1e-6])
        slopes = np.sqrt(self.penalty(*(self.target + steps))) / steps
        assert slopes.max() <= 10 * slopes[0]

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

    def test_its_stimulus_is_the_same_every_time(self) -> None:
        """Candidates are compared, some in other processes: chance would be taken for an effect."""
        timing = Timing(DECAY, SYNAPSE["D"], SYNAPSE["F"])
        assert self.protocol.stimulus(timing) == self.protocol.stimulus(timing)
        again = type(self.protocol).model_validate(self.protocol.model_dump(mode="json"))
        assert again.stimulus(timing) == self.protocol.stimulus(timing)

    def test_every_metric_whose_needs_it_provides_can_be_measured(self) -> None:
        """What ``provides`` promises is there."""
        for name in METRICS.names():
            metric: Metric = METRICS.get(name)
            required = any(f.is_required() for f in metric.options.model_fields.values())
            if required or metric.is_sampled or not set(metric.needs) <= features(self.protocol):
                continue
            assert np.isfinite(metric.function(response_to(self.protocol))).all(), name


def _refuses(action: Callable[[], object]) -> bool:
    try:
        action()
    except ValueError:
        return True
    return False
