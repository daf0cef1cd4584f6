"""Views of a tuner: what each tab shows, and the questions that it asks of the engine."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from stpspec.registry import PROTOCOLS
from stpspec.specs.experiment import Experiment
from stpspec.specs.protocol import FREQUENCIES, names_of_runs, owner_of
from stpspec.tuner.messages import Ask, AskMetrics, AskPoint, AskTargets, AskTraces

RESPONSE = "frequency response"
# Kind of protocol → its tab; the shipped ones come in this order.
_TITLES = {
    "single_event": "single event", "train": "train", "continuous": "continuous",
    "spike_times": "spike times", "gap_step": "gap step",
}  # fmt: skip
_OF_EVENTS = (
    "single_event",
    "train",
    "continuous",
)  # there, whether the experiment has them or not
_OF_STEPS = ("gap_step",)


@dataclass(frozen=True)
class View:
    """One tab.

    Attributes
    ----------
    title : str
    kind : str
        Of the protocol that is shown.
    protocols : tuple of str
        Those of the experiment that are of this kind; none where it has none.
    """

    title: str
    kind: str
    protocols: tuple[str, ...]

    @property
    def name(self) -> str:
        """The protocol that is shown first: one of the experiment's, or one that it could have."""
        return self.protocols[0] if self.protocols else self.kind

    @property
    def is_response(self) -> bool:
        """Whether it is a frequency response."""
        return self.title == RESPONSE


def views_of(experiment: Experiment) -> list[View]:
    """Return the tabs: kinds of protocols that the experiment has, and that its model can have."""
    kinds = [p.kind for p in experiment.protocols.values()]
    steps = experiment.model.stimulated_by != "event"
    usual = _OF_STEPS if steps else _OF_EVENTS
    order = [k for k in _TITLES if k in usual or k in kinds]
    order += [k for k in dict.fromkeys(kinds) if k not in order]
    views = [
        View(_TITLES.get(kind, kind.replace("_", " ")), kind,
             tuple(run for n, p in experiment.protocols.items() if p.kind == kind
                   for run in names_of_runs(n, experiment.protocols)))
        for kind in order
    ]  # fmt: skip
    driven = [v for v in views if "frequency" in PROTOCOLS.get(v.kind).model_fields]
    if driven:
        of_train = next((v for v in driven if v.kind == "train"), driven[0])
        views.append(View(RESPONSE, of_train.kind, of_train.protocols))
    return views


def first_view(views: list[View]) -> View:
    """Return the tab that is shown first: the train, if the experiment has one."""
    own = [v for v in views if v.protocols and not v.is_response]
    return next((v for v in own if v.kind == "train"), own[0])


def with_protocol(experiment: Experiment, name: str, kind: str) -> Experiment:
    """Return the experiment with a protocol to be looked at, if it has none of this name."""
    if owner_of(name, experiment.protocols) is not None:
        return experiment
    return experiment.changed({f"protocols.{name}": {"kind": kind}})


def questions(experiment: Experiment, view: View, protocol: str, pixels: int) -> list[Ask]:
    """Return what is asked of the engine for a tab: what is looked at, and the targets."""
    path = tuple(sys.path)
    shown = with_protocol(experiment, protocol, view.kind)
    asked: list[Ask] = []
    if not view.is_response:
        data = shown.to_data()
        asked += [AskTraces(data, path, protocol, pixels), AskMetrics(data, path, protocol)]
    if experiment.objective is not None:
        asked.append(AskTargets(experiment.to_data(), path))
    for frequency in FREQUENCIES if view.is_response else ():
        data = shown.changed({f"protocols.{protocol}.frequency": frequency}).to_data()
        asked.append(AskPoint(data | {"objective": None}, path, protocol, frequency))
    return asked
