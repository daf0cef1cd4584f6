"""A clamped patch with one point process, in plain NEURON, and the current after some events."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from stpspec.engine import nrn
from stpspec.errors import SimulationError

ONSET = 50.0  # ms
DT = 0.025  # ms
_RESISTANCE = 1e-6  # Mohm of the electrode: the clamp is ideal for any conductance
_FOREVER = 1e9  # ms


class ClampedPatch:
    """One compartment without channels under an ideal clamp: its current is that of the synapse.

    Parameters
    ----------
    mechanism : str
        Of a loaded point process.
    arguments : sequence of float
        Of a NetCon, the weight first.
    global_parameters : frozenset of str
    """

    def __init__(
        self, mechanism: str, arguments: Sequence[float], global_parameters: frozenset[str]
    ):
        h = nrn.hoc()
        self._mechanism, self._global = mechanism, global_parameters
        self._section: Any = h.Section(name="patch")
        self._section.L = self._section.diam = 10
        self._clamp: Any = h.SEClamp(self._section(0.5))
        self._clamp.rs, self._clamp.dur1 = _RESISTANCE, _FOREVER
        self.point: Any = getattr(h, mechanism)(self._section(0.5))
        self._netcons: list[Any] = [h.NetCon(None, self.point) for _ in range(2)]
        for netcon in self._netcons:
            for index, value in enumerate(arguments):
                netcon.weight[index] = value
        self._first = list(arguments)
        self._time: Any = h.Vector().record(h._ref_t)
        self._current: Any = h.Vector().record(self._clamp._ref_i)

    def current(
        self,
        events: Sequence[tuple[float, int]],
        *,
        holding: float = -70.0,
        weight: float | None = None,
        duration: float = 300.0,
        variable: bool = False,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Simulate, and return the current that the events bring.

        Parameters
        ----------
        events : sequence of (float, int)
            Time after the onset (ms), and which of the two NetCons.
        holding : float
            mV.
        weight : float, optional
        duration : float
            ms after the last event.
        variable : bool
            Whether CVODE chooses the steps.

        Returns
        -------
        time, current : ndarray, shape (n,)
            ms after the onset; nA, outward positive, less what flows before the first event.

        Raises
        ------
        SimulationError
            If NEURON fails, or the current is not finite.
        """
        h = nrn.hoc()
        stop = ONSET + max(t for t, _ in events) + duration
        with nrn.border(SimulationError, "NEURON stopped"), nrn.muted():
            self._clamp.amp1 = holding
            self._give_arguments(weight)
            self._choose_step(variable)
            h.finitialize(holding)
            self._give_arguments(weight, again=True)
            for after, which in events:
                self._netcons[which].event(ONSET + after)
            nrn.context().psolve(stop)
            reached = float(h.t)
        time, current = np.asarray(self._time) - ONSET, np.array(self._current)
        if not np.isfinite(current).all():
            raise SimulationError("the current is not finite")
        if reached < stop - 1e-3:
            raise SimulationError(f"the variable step gave up at t = {reached:g} ms")
        return time, current - current[np.searchsorted(time, -1.0)]

    @staticmethod
    def _choose_step(variable: bool) -> None:
        h, cvode = nrn.hoc(), nrn.cvode()
        h.celsius, h.dt, h.steps_per_ms, h.secondorder = 20.0, DT, 1 / DT, 0
        cvode.active(int(variable))
        cvode.atol(1e-7)
        cvode.rtol(1e-5)

    def _give_arguments(self, weight: float | None, *, again: bool = False) -> None:
        """Set the arguments of the NetCons; again, those that NEURON sets to 0 without INITIAL."""
        for netcon in self._netcons:
            for index, value in enumerate(self._first):
                if not again or (index and value):
                    netcon.weight[index] = value
            if weight is not None:
                netcon.weight[0] = weight

    @contextlib.contextmanager
    def changed(self, values: Mapping[str, float]) -> Iterator[None]:
        """Set parameters, and put them back."""
        before = {name: self._get(name) for name in values}
        try:
            for name, value in values.items():
                self._set(name, value)
            yield
        finally:
            for name, value in before.items():
                self._set(name, value)

    def _get(self, name: str) -> float:
        if name in self._global:
            return float(getattr(nrn.hoc(), f"{name}_{self._mechanism}"))
        return float(getattr(self.point, name))

    def _set(self, name: str, value: float) -> None:
        if name in self._global:
            setattr(nrn.hoc(), f"{name}_{self._mechanism}", value)
        else:
            setattr(self.point, name, value)
