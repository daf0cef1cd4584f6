"""Notes on a response: each said once, and one line for all the pulses that it holds for."""

from __future__ import annotations

from collections.abc import Sequence


class Notes:
    """What a reader of the values should know."""

    def __init__(self) -> None:
        self._pulses: dict[str, list[int]] = {}

    def add(self, text: str) -> None:
        """Keep a note."""
        self._pulses.setdefault(text, [])

    def add_pulse(self, template: str, number: int) -> None:
        """Keep a note on pulse ``number`` (from 1).

        ``{pulses}`` or ``{amplitudes}`` in the template becomes the list of all such pulses.
        """
        known = self._pulses.setdefault(template, [])
        if number not in known:
            known.append(number)

    def texts(self) -> list[str]:
        """Return the notes, in the order in which they came up."""
        return [_listed(t, p) if p else t for t, p in self._pulses.items()]


def _listed(template: str, pulses: Sequence[int]) -> str:
    """Write a note on some pulses: 2, 3, 4, 6 becomes "pulses 2–4, 6"."""
    runs: list[list[int]] = []
    for n in sorted(pulses):
        if runs and n == runs[-1][1] + 1:
            runs[-1][1] = n
        else:
            runs.append([n, n])
    several = len(pulses) > 1

    def text(prefix: str) -> str:
        return ", ".join(f"{prefix}{a}" if a == b else f"{prefix}{a}–{prefix}{b}" for a, b in runs)

    return template.format(
        pulses=f"pulse{'s' * several} {text('')}",
        amplitudes=f"{text('a')} {'are' if several else 'is'}",
    )


def unsettled(fraction: float, window: float, *, is_recorded: bool = False) -> str:
    """Return the note on a trace that still moves before the stimulus."""
    drift = (
        f"not settled: over the {window:g} ms before the stimulus the trace drifts by "
        f"{100 * fraction:.2g} % of the response"
    )
    if is_recorded:
        return drift
    return f"{drift}; a longer numerics.settle or another numerics.v_init is needed"


def clamped_poorly(signal: str, departure: float, loss: float) -> str:
    """Return the note on a clamp that is not ideal.

    Parameters
    ----------
    signal : str
    departure : float
        Of the voltage at the synapse from the holding potential, mV.
    loss : float
        The part of the first amplitude that is lost; below 0 what it gains.
    """
    return (
        f"the clamp is not ideal: the voltage at the synapse departs from the holding potential by "
        f"up to {departure:.2g} mV, and a1 of the {signal} is {100 * abs(loss):.2g} % "
        f"{'smaller' if loss > 0 else 'larger'} than with an ideal clamp at the synapse"
    )
