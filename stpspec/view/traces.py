"""Figures of traces.

matplotlib is imported when a figure is drawn, and without pyplot: no window, no global state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from stpspec.dataset import arrival_times, signals_of, stimulus_of, times_of
from stpspec.errors import UnknownNameError
from stpspec.metrics.response import Response
from stpspec.view.coupling import coupling_of, mark_levels
from stpspec.view.data import keep
from stpspec.view.pulses import mark_amplitudes, mark_arrivals, measured, number_pulses, seen
from stpspec.view.recorded import draw_recorded, response_options
from stpspec.view.scale_bars import draw_scale_bars
from stpspec.view.style import BLUE, ORANGE, PALE, UNITS, legend, new_axes, thinned, wrap

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

    from stpspec.specs.experiment import Experiment

_Child = TypeVar("_Child")
Stimulus = Mapping[str, Any]  # as stpspec.dataset.stimulus_of returns it
NAME = 30  # characters of a line of a protocol's name


def plot_traces(
    tree: xr.DataTree,
    protocol: str,
    *,
    ax: Axes | None = None,
    signal: str | None = None,
    candidate: int = 0,
    experiment: Experiment | None = None,
    scale_bars: bool = False,
) -> Axes | np.ndarray:
    """Plot the response to one protocol, the mean of its trials, as it is measured.

    Every pulse has its number, and its amplitude upon its baseline; of two coupled cells, the
    levels that are compared and the coupling coefficient are shown.

    Parameters
    ----------
    tree : xarray.DataTree
        See :mod:`stpspec.dataset`.
    protocol : str
    ax : matplotlib Axes, optional
        For the default signal alone; a figure of its own by default, of all that was recorded.
    signal : str, optional
        This one alone.
    candidate : int
    experiment : Experiment, optional
        Whose terms say how the pulses are measured, and which recorded traces are drawn too.
    scale_bars : bool
        Instead of axes.

    Returns
    -------
    Axes, or ndarray of Axes, shape (signal,)
        One panel a signal; an ``ax`` that is given gets the voltages of both coupled cells, as
        changes from the start of the step.

    Raises
    ------
    UnknownNameError
        If there is no such protocol or signal.
    IndexError
        If there is no such candidate.
    """
    node = _child(tree.children, protocol, "protocol").to_dataset().isel(candidate=candidate)
    shown = _Shown(node, stimulus_of(node), protocol, experiment)
    names = [signal] if signal else shown.names if ax is None else shown.main
    shared = ax is not None and len(names) == 2
    size = (7.2, 2.2 + 1.4 * len(names))
    axes: np.ndarray = new_axes(len(names), size) if ax is None else np.array([ax] * len(names))
    for a, name, color in zip(axes, names, (BLUE, ORANGE if shared else BLUE, *[BLUE] * 99),
                              strict=False):  # fmt: skip
        shown.draw(a, name, color, relative=shared)
    for a in dict.fromkeys(axes):
        _mark_step(a, shown.stimulus)
    axes[-1].set_xlabel("Time after stimulus onset (ms)")
    trials = node.sizes["trial"]
    title = protocol if trials == 1 else f"{protocol} (mean of {trials} trials)"
    axes[0].set_title(wrap(title, NAME), loc="left", fontsize=10)
    legend(axes[0])
    if not np.isfinite(axes[0].lines[0].get_ydata()).all():
        reason = wrap(f"No trace: {tree.dataset['failure'].values[candidate] or 'not finite'}", 60)
        axes[0].text(0.5, 0.5, reason, transform=axes[0].transAxes, ha="center", va="center")
    elif scale_bars:
        for a, name in zip(axes, names, strict=True):
            unit = str(node[name].attrs.get("units", ""))
            draw_scale_bars(a, "ms" if a is axes[-1] else None, UNITS.get(unit, unit))
    if shown.coupling is not None and signal is None:
        label = axes[-1].get_xlabel()  # none beside scale bars
        axes[-1].set_xlabel(f"{label}\n{shown.coupling.text}".lstrip())
    return axes if ax is None and len(names) > 1 else axes[0]


@dataclass(frozen=True)
class _Shown:
    """One candidate's response to one protocol, ready to be drawn."""

    node: xr.Dataset
    stimulus: Stimulus
    protocol: str
    experiment: Experiment | None

    @property
    def main(self) -> list[str]:
        """The signals that the protocol is about."""
        if self.stimulus.get("step"):
            return ["somatic_voltage_1", "somatic_voltage_2"]
        recorded, usual = signals_of(self.node), self.stimulus["default_signal"]
        return [usual if usual in recorded or not recorded else recorded[0]]

    @property
    def names(self) -> list[str]:
        """All signals, those first."""
        return list(dict.fromkeys([*self.main, *signals_of(self.node)]))

    def response(self, name: str) -> Response:
        """Return the mean of the trials as metrics read it."""
        time, n = self._times()
        read = {name, *self.main}
        signals = {s: self._mean(s)[:n] for s in signals_of(self.node) if s in read}
        units = {s: str(self.node[s].attrs.get("units", "")) for s in signals}
        options = response_options(self.experiment, self.protocol)
        stimulus: Any = self.stimulus
        return Response(time[:n], signals, units, stimulus, **{**options, "signal": name})

    @property
    def coupling(self) -> Any:
        """The coupling of two cells, if this is about it."""
        if not self.stimulus.get("step") or not set(self.main) <= set(signals_of(self.node)):
            return None
        return coupling_of(self.response(self.main[0]))

    def _times(self) -> tuple[np.ndarray, int]:
        t = times_of(self.node)
        return t, int(np.isfinite(t).sum())  # after a variable step, shorter ones are padded

    def _mean(self, name: str) -> np.ndarray:
        signals = {n: self.node[n] for n in signals_of(self.node)}
        return _child(signals, name, "signal").mean("trial", skipna=False).values

    def draw(self, ax: Axes, name: str, color: str, *, relative: bool) -> None:
        """Draw one signal: of a step, perhaps as the change from its start."""
        y = self._mean(name)
        t, n = self._times()
        t = t[:n] - self.stimulus["onset"]
        before = 100.0 if self.stimulus.get("step") else max(5.0, 0.05 * t[-1])
        inside = t >= min(-before, t[-1]) - 1e-6
        t, y = t[inside], y[:n][inside]
        y = y - np.interp(0.0, t, y) if relative else y
        variable = self.node[name]
        unit, long_name = variable.attrs.get("units", ""), variable.attrs.get("long_name", name)
        if long_name != name:  # a variable of the mechanism keeps its own
            long_name = long_name[:1].upper() + long_name[1:]
        places = thinned(t, y) if np.isfinite(y).all() else np.arange(t.size)
        label = f"Cell {name[-1]}" if relative else None
        ax.plot(t[places], y[places], color=color, lw=1.0, label=label)
        ax.margins(y=0.14)
        ax.set_xlim(t[0], max(t[-1], t[0] + 1.0))
        ax.set_ylabel(wrap("Change of voltage" if relative else long_name, 26, unit))
        ax.ticklabel_format(axis="y", useOffset=False)
        keep(ax, label or "model", t[places], y[places])
        if self.stimulus["spikes"] and np.isfinite(y).all():
            self._mark_pulses(ax, t, y, name)
        if self.coupling is not None and not relative and name in self.main:
            mark_levels(ax, self.coupling, int(name[-1]), self.stimulus["step"],
                        self.stimulus["onset"])  # fmt: skip

    def _mark_pulses(self, ax: Axes, t: np.ndarray, y: np.ndarray, name: str) -> None:
        """Mark the arrivals; of the signal that is measured, number the pulses and measure them."""
        spikes, delay = self.stimulus["spikes"], self.stimulus["delay"]
        arrivals = arrival_times(spikes, delay) - self.stimulus["onset"]
        arrivals = arrivals[arrivals < t[-1]]  # a long delay may carry some past the end
        if not arrivals.size:
            return
        response = self.response(name)
        pulses = measured(response, arrivals) or seen(t, y, arrivals)
        mark_arrivals(ax, arrivals, pulses.sign)
        if self.experiment is not None:  # numbers stand beyond what is recorded, too
            times, values = draw_recorded(ax, self.experiment, self.protocol, response)
            t, y = np.insert(t, 1, times), np.insert(y, 1, values)
        if name in self.main or len(ax.figure.axes) == 1:
            mark_amplitudes(ax, arrivals, pulses)
            number_pulses(ax, t, y, pulses, self.stimulus.get("n_induction"))


def _mark_step(ax: Axes, stimulus: Stimulus) -> None:
    if step := stimulus.get("step"):
        span = np.array([step["start"], step["stop"]]) - stimulus["onset"]
        label = f"{step['amplitude'] * 1e3:.4g} pA into cell {step['cell']}".replace("-", "−")
        ax.axvspan(span[0], span[1], color=PALE, lw=0, zorder=0, label=label)


def _child(children: Mapping[str, _Child], name: str, kind: str) -> _Child:
    if name not in children:
        raise UnknownNameError(f"no {kind} {name!r} here (there are: {', '.join(children)})")
    return children[name]
