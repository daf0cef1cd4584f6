"""Medians of the Allen Institute's Synaptic Physiology data set, per pair of mouse subclasses."""

from __future__ import annotations

import csv
import functools
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from stpspec.errors import SpecError, SpecProblem, nearest
from stpspec.specs.rule_errors import rule_error
from stpspec.specs.target_source import TargetData, TargetSource, Wanted, target_source

log = logging.getLogger("stpspec")

DOI = "10.1126/science.abj5861"
SUBCLASSES = ("pyr", "pvalb", "sst", "vip")
_FILE = Path(__file__).parents[1] / "allen" / "synphys_r2.1_mouse_subclass_medians.csv"
_PLASTICITY = ("induction", "recovery")


@dataclass(frozen=True)
class _Quantity:
    """A quantity of the data set: its name there, and how a metric has to be taken to be it.

    Attributes
    ----------
    name : str
    is_current : bool
        Whether it is of a synaptic current; else it is of a potential.
    options : tuple of (str, object)
        Options of the metric; what a term sets itself has to be the same.
    """

    name: str
    is_current: bool
    options: tuple[tuple[str, object], ...] = ()


_OF_METRIC = {
    "amplitude": _Quantity("psp_amplitude", False),
    "induction": _Quantity("stp_induction_50hz", True),
    "recovery": _Quantity("stp_recovery_250ms", True),
    "latency": _Quantity("latency", True),
    "rise_time": _Quantity("psc_rise_time", True, (("interval", "onset_to_peak"),)),
    "decay_time": _Quantity("psc_decay_tau", True),
}


@functools.cache
def medians() -> dict[tuple[str, str, str], tuple[float, str, int]]:
    """Return (quantity, pre, post) → median, unit and number of pairs."""
    with _FILE.open(encoding="utf-8", newline="") as file:
        return {
            (row["metric"], row["pre"], row["post"]): (
                float(row["median"]), row["unit"], int(row["n_pairs"])
            )
            for row in csv.DictReader(file)
            if row["median"]
        }  # fmt: skip


@target_source("allen")
class Allen(TargetSource):
    """The median of a pair of mouse subclasses, release 2.1 (doi:10.1126/science.abj5861).

    Signs and units are those of the metric. Induction and recovery are defined by the preset
    ``allen``: the term names the preset it is measured with. With ``allen``, N is that of the data
    set, which holds the noise of trials: the model's N is its first amplitude times the ratio of
    ``pulse_amp_90pct`` and ``psp_amplitude`` of the pair.
    """

    source: Literal["allen"] = "allen"
    pre: str = Field(description="presynaptic subclass: pyr, pvalb, sst or vip")
    post: str = Field(description="postsynaptic subclass")
    release: Literal["2.1"] = "2.1"

    @field_validator("pre", "post")
    @classmethod
    def _is_a_subclass(cls, name: str) -> str:
        if name not in SUBCLASSES:
            near = nearest(name, SUBCLASSES, 0.3)
            raise rule_error("rule", f"a subclass is one of {', '.join(SUBCLASSES)}", near)
        return name

    def read(self, wanted: Wanted) -> TargetData:
        quantity = _OF_METRIC.get(wanted.metric)
        if quantity is None:
            rule = (f"the Allen medians have no {wanted.metric}; they have "
                    f"{', '.join(_OF_METRIC)}")  # fmt: skip
            raise _refused(rule, wanted.metric, nearest(wanted.metric, _OF_METRIC))
        self._require_signal(quantity, wanted)
        options = dict(quantity.options)
        if wanted.metric in _PLASTICITY:
            options |= self._options_of_plasticity(wanted)
        for name, value in quantity.options:
            if wanted.chosen.get(name, value) != value:
                rule = f"{quantity.name} of the Allen data set is with {name}: {value}"
                raise _refused(rule, wanted.chosen[name])
        value, unit, _ = medians()[quantity.name, self.pre, self.post]
        if wanted.metric == "amplitude":
            value = abs(value)  # an IPSP is below 0 there, and the metric is a size
        return TargetData(value, unit="" if unit == "1" else unit, options=options)

    def _require_signal(self, quantity: _Quantity, wanted: Wanted) -> None:
        is_potential = wanted.signal.startswith("somatic_voltage")
        if quantity.is_current == is_potential:
            rule = (
                f"{quantity.name} of the Allen data set is of a synaptic current (of deconvolved "
                f"PSPs): options.signal: synaptic_current"
                if quantity.is_current
                else f"{quantity.name} of the Allen data set is of a potential in current clamp: "
                f"recording=current_clamp"
            )
            raise _refused(rule, wanted.signal)

    def _options_of_plasticity(self, wanted: Wanted) -> dict[str, object]:
        """Return the options of the preset; refuse a protocol or preset that was not theirs."""
        run = next(iter(wanted.runs.values()))
        frequency, delay = getattr(run, "frequency", None), getattr(run, "recovery_delay", None)
        if frequency != 50 or (wanted.metric == "recovery" and delay != 250):
            rule = (f"{_OF_METRIC[wanted.metric].name} is of 8 pulses at 50 Hz and, after 250 ms, "
                    f"4 more; {wanted.protocol!r} is another train")  # fmt: skip
            raise _refused(rule)
        preset = wanted.chosen.get("preset")
        if preset is None:
            raise _refused(
                f"{wanted.metric} of the Allen data set is defined by preset allen: name the "
                f"preset that it is compared with (options: {{preset: allen}})"
            )
        if preset != "allen":
            _tell(f"{wanted.metric} of {self.pre}→{self.post} is the Allen data set's, of preset "
                  f"allen, and is compared with that of preset {preset}")  # fmt: skip
            return {}
        if {"normalizer", "value", "scale", "scope"} & set(wanted.chosen):
            return {}
        known = medians()
        n = known["pulse_amp_90pct", self.pre, self.post][0]
        first = known["psp_amplitude", self.pre, self.post][0]
        return {"normalizer": "first", "scale": n / first}


_told: set[str] = set()


def _tell(text: str) -> None:
    if text not in _told:
        _told.add(text)
        log.warning("%s", text)


def _refused(rule: str, received: object = None, guess: str | None = None) -> SpecError:
    return SpecError([SpecProblem("", rule, received, guess)], "no such number")
