"""The state of a tuner: an experiment with its changes, undo and redo, as YAML and as a link."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from stpspec.results.folder import to_yaml
from stpspec.specs.experiment import Experiment
from stpspec.tuner.changes import Changes, apply
from stpspec.tuner.messages import Facts

_GESTURE = 1.0  # s; moves of one knob within it are undone together


@dataclass(frozen=True)
class _Moment:
    """One point of the history: the changes, and the knob that made the last of them."""

    changes: Changes
    path: str = ""
    when: float = float("-inf")


class State:
    """What a tuner shows: an experiment as it was opened, and what has been changed by hand.

    Parameters
    ----------
    base : Experiment
    facts : Facts
    changes : mapping of str to object, optional
        What is changed already, as by a link.
    clock : callable
        Seconds; moves of one knob in quick succession are undone together.

    Raises
    ------
    SpecError
        If the changes cannot be made.
    """

    def __init__(
        self,
        base: Experiment,
        facts: Facts,
        changes: Changes | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.base = base
        self.facts = facts
        self._clock = clock
        self._done = [_Moment({})]
        self._undone: list[_Moment] = []
        self.applied = apply(base, facts, changes or {})
        if changes:
            self._done.append(_Moment(dict(changes)))

    @property
    def changes(self) -> Changes:
        """What is changed: path → value."""
        return self._done[-1].changes

    @property
    def experiment(self) -> Experiment:
        """The experiment with the changes."""
        return self.applied.experiment

    @property
    def aside(self) -> dict[str, str]:
        """Term of the objective that cannot be asked with the changes → why."""
        return self.applied.aside

    def change(self, path: str, value: Any) -> None:
        """Change one field.

        Raises
        ------
        SpecError
            If it cannot be; then nothing is changed.
        """
        self.change_all({path: value}, path)

    def change_all(self, more: Changes, knob: str = "") -> None:
        """Change several fields as one step of the history.

        Parameters
        ----------
        more : mapping of str to object
        knob : str
            What makes the change: another one of the same, soon after, is undone with it.

        Raises
        ------
        SpecError
            If they cannot be; then nothing is changed.
        """
        self._go({**self.changes, **more}, knob)

    def tried(self, more: Changes) -> Experiment:
        """Return the experiment with further changes, which are not made."""
        return apply(self.base, self.facts, {**self.changes, **more}).experiment

    def withdraw(self, path: str) -> None:
        """Let one field have its value of the experiment again."""
        self._go({p: v for p, v in self.changes.items() if p != path}, "")

    def _go(self, changes: Changes, knob: str) -> None:
        self.applied = apply(self.base, self.facts, changes)
        if changes == self.changes:
            return
        now, last = self._clock(), self._done[-1]
        if knob and knob == last.path and now - last.when < _GESTURE:
            self._done.pop()
        self._done.append(_Moment(dict(changes), knob, now))
        self._undone.clear()

    @property
    def label(self) -> str:
        """The numbers that were changed last, as the name of what they give."""
        numbers = [
            f"{path.removesuffix('.start').rpartition('.')[2]}={value:.4g}"
            for path, value in self.changes.items()
            if isinstance(value, float)
        ]
        return ", ".join(numbers[-3:]) or "as opened"

    @property
    def can_undo(self) -> bool:
        """Whether there is a change to undo."""
        return len(self._done) > 1

    @property
    def can_redo(self) -> bool:
        """Whether there is a change to make again."""
        return bool(self._undone)

    def undo(self) -> None:
        """Take the last change back."""
        if self.can_undo:
            self._undone.append(self._done.pop())
            self.applied = apply(self.base, self.facts, self.changes)

    def redo(self) -> None:
        """Make the change again that was undone last."""
        if self.can_redo:
            self._done.append(self._undone.pop())
            self.applied = apply(self.base, self.facts, self.changes)

    def reset(self) -> None:
        """Return to the experiment as it was opened; that can be undone, too."""
        self._go({}, "")

    def yaml(self) -> str:
        """Return the experiment as YAML, which ``stpspec run`` and ``fit`` take unchanged."""
        return to_yaml(self.experiment)

    def link(self) -> str:
        """Return the changes as text for a link; empty without any."""
        return json.dumps(self.changes, separators=(",", ":")) if self.changes else ""


def fit_data(experiment: Experiment) -> dict[str, Any]:
    """Return the data of a fit that begins at the starts of an experiment and leaves no study."""
    data = experiment.to_data()
    data["fitter"] |= {"start": "given", "n_starts": 1}
    return {**data, "study": None}
