"""Stimuli: when events and current steps come, and when the run stops, in one protocol's run."""

from __future__ import annotations

from dataclasses import dataclass, replace

BEFORE = 100.0  # ms recorded before the stimulus, as far as the settling time is as long


@dataclass(frozen=True)
class Timing:
    """Time constants of the synapse as far as they are known, ms (the largest candidate's)."""

    decay: float | None = None
    depression: float | None = None
    facilitation: float | None = None


@dataclass(frozen=True)
class CurrentStep:
    """A current step into one of the two cells."""

    amplitude: float
    duration: float
    cell: int = 1


@dataclass(frozen=True)
class Stimulus:
    """What a protocol does to the model. All times in ms after the onset of the stimulus.

    Attributes
    ----------
    spikes : tuple of float
        Presynaptic spike times; an event arrives one NetCon delay later.
    stop : float
        End of the run, if events arrived without delay: the engine adds that of the NetCon.
    step : CurrentStep or None
    n_induction : int or None
        How many of the pulses are induction pulses; the rest are recovery pulses.
    before : float
        How much is recorded before the onset.
    trials : int
        How often it is simulated, each time with other random numbers.
    protocol : str
        Name of the protocol that it is one of several runs of; empty if it is the only one.
    """

    spikes: tuple[float, ...] = ()
    stop: float = 0.0
    step: CurrentStep | None = None
    n_induction: int | None = None
    before: float = BEFORE
    trials: int = 1
    protocol: str = ""

    def leading(self, n: int) -> Stimulus:
        """Return the first pulses, at least n, up to a pause as long as the time after the last."""
        after = self.stop - (self.spikes[-1] if self.spikes else 0.0)
        for k in range(max(n, 1), len(self.spikes)):
            if self.spikes[k] - self.spikes[k - 1] >= after - 1e-9:
                return replace(self, spikes=self.spikes[:k], stop=self.spikes[k - 1] + after)
        return self
