"""The figure of amplitude against pulse number: data ± sd and model, a panel a frequency."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from stpspec.dataset import stimulus_of
from stpspec.errors import MetricError
from stpspec.formatting import unit_text
from stpspec.metrics.measure import Recorded
from stpspec.metrics.miss import Miss, misses_of
from stpspec.metrics.response import Response
from stpspec.specs.protocol import names_of_runs
from stpspec.view.contract import Achieved, target_unit, terms_of
from stpspec.view.data import keep
from stpspec.view.recorded import response_options
from stpspec.view.style import BLUE, GRAY, figure_legend, legend, new_grid, wrap

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

    from stpspec.specs.objective import Term

_ALIKE = 0.01  # of an interval; a train whose intervals differ by less has one frequency
_PAUSE = 1.5  # intervals; what is longer is a pause, over which no line is drawn
_ALL = 13  # pulses up to which each has its number on the axis
_MOST = 200  # pulses that a panel shows


class WithTraces(Achieved, Protocol):
    """A fit with its traces."""

    @property
    def traces(self) -> xr.DataTree: ...


@dataclass(frozen=True)
class _Panel:
    """What one panel shows."""

    name: str
    spikes: np.ndarray
    model: np.ndarray
    unit: str
    miss: Miss | None = None
    term: Term | None = None

    @property
    def intervals(self) -> np.ndarray:
        return np.diff(self.spikes)

    @property
    def frequency(self) -> float | None:
        """Of most intervals, Hz; None where they are not alike."""
        usual = float(np.median(self.intervals))
        alike = np.abs(self.intervals - usual) <= _ALIKE * usual
        return 1000 / usual if alike.mean() > 0.5 else None

    @property
    def pauses(self) -> np.ndarray:
        """Which intervals are pauses (0-based)."""
        return np.flatnonzero(self.intervals > _PAUSE * np.median(self.intervals))


def plot_amplitudes(result: WithTraces) -> np.ndarray:
    """Plot amplitude against pulse number: data ± sd where they are targets, and the model.

    Parameters
    ----------
    result : FitResult

    Returns
    -------
    ndarray of Axes, shape (panel,)
        One for each term of ``amplitudes`` and each other protocol of several events, in the order
        of their frequencies; empty where there is none. Of a mean of n measurements the data have
        its standard error.
    """
    panels = [*_panels(result)]
    panels.sort(key=lambda p: p.frequency or 0.0)
    if not panels:
        return np.array([])
    n = len(panels)
    across = min(n, 4 if n > 4 else 2 if n > 1 else 1)
    size = {1: (5.6, 3.4), 2: (8.0, 0.8 + 2.5 * -(-n // 2))}.get(across, (
        2.75 * across, 0.8 + 2.1 * -(-n // across)))  # fmt: skip
    axes = new_grid(n, across, size, share=False)
    titles = _titles(panels)
    for ax, panel, title in zip(axes, panels, titles, strict=True):
        _draw(ax, panel, title)
    _share_scale(axes, panels)
    for k, ax in enumerate(axes):
        if k + across >= n:
            ax.set_xlabel("Pulse number")
        if k % across == 0 or panels[k].unit != panels[k - 1].unit:
            ax.set_ylabel(_scale(panels[k].unit))
    legend(axes[0]) if n == 1 else figure_legend(axes)
    return axes


def _panels(result: WithTraces) -> Iterator[_Panel]:
    terms = terms_of(result.experiment)
    misses = misses_of(result.experiment.objective, result.metrics)
    nodes = {name: child.to_dataset() for name, child in result.traces.children.items()}
    spikes = {name: np.array(stimulus_of(node)["spikes"]) for name, node in nodes.items()}
    shown = set()
    for name, term in terms.items():
        runs = names_of_runs(term.protocol, result.experiment.protocols)
        if term.metric != "amplitudes" or all(spikes[run].size < 2 for run in runs):
            continue
        unit, ends = target_unit(term, result.metric_units[name]), np.cumsum(
            [spikes[run].size for run in runs])  # fmt: skip
        for run, end in zip(runs, ends, strict=True):
            part = slice(end - spikes[run].size, end)
            miss = misses[name] if len(runs) == 1 else misses[name].part(part)
            shown.add(run)
            label = name if len(runs) == 1 else f"{name} ({run})"
            yield _Panel(label, spikes[run], miss.achieved, unit, miss, term)
    for name, node in nodes.items():
        if name not in shown and 2 <= spikes[name].size <= _MOST:
            options = response_options(result.experiment, name)
            try:
                amplitudes, unit = _measured(Recorded.of(node), options)
            except MetricError:
                continue
            yield _Panel(name, spikes[name], amplitudes, unit)


def _measured(recorded: Recorded, options: Mapping[str, Any]) -> tuple[np.ndarray, str]:
    time, signals = recorded.at(0, slice(None))
    response = Response(time, signals, recorded.units, recorded.stimulus, **options)
    return response.amplitudes, response.unit


def _titles(panels: list[_Panel]) -> list[str]:
    """Return the frequencies; with the name where two are alike."""
    said = [f"{p.frequency:.3g} Hz" if p.frequency else p.name for p in panels]
    return [
        text if said.count(text) == 1 or text == p.name else f"{text}, {p.name}"
        for text, p in zip(said, panels, strict=True)
    ]


def _draw(ax: Axes, panel: _Panel, title: str) -> None:
    numbers = np.arange(1, panel.spikes.size + 1)
    pauses = panel.pauses + 1
    x = np.insert(numbers.astype(float), pauses, np.nan)
    ax.plot(x, np.insert(panel.model, pauses, np.nan), ".-", color=BLUE, lw=1.3, ms=4, zorder=3,
            label="Model")  # fmt: skip
    keep(ax, "model", numbers, panel.model, panel=title)
    if panel.miss is not None:
        sd = panel.miss.sd
        ax.errorbar(numbers, panel.miss.target, sd, fmt="o", color="black", mfc="white", ms=6,
                    lw=1.0, capsize=2, zorder=2, label=_data_label(panel))  # fmt: skip
        keep(ax, "data", numbers, panel.miss.target, sd, panel=title)
    for k in panel.pauses if panel.pauses.size <= 3 else ():
        ax.axvline(k + 1.5, color=GRAY, lw=0.7, ls=":", zorder=0)
        ax.annotate(f"{panel.intervals[k]:.4g} ms", (k + 1.5, 1.0), (0, -1), va="top", ha="center",
                    xycoords=ax.get_xaxis_transform(), textcoords="offset points", fontsize=7,
                    color=GRAY, bbox={"fc": "white", "ec": "none", "pad": 0.5})  # fmt: skip
    ax.set_title(wrap(title, 26), loc="left", fontsize=9)
    ax.set_xlim(0.4, numbers[-1] + 0.6)
    if numbers.size <= _ALL:
        ax.set_xticks(numbers, [str(k) for k in numbers])
        ax.tick_params(axis="x", labelsize=8)
    else:
        ax.locator_params(axis="x", integer=True, nbins=6)


def _share_scale(axes: np.ndarray, panels: list[_Panel]) -> None:
    """Give all panels of a unit one scale, from 0 where nothing is below, with room above."""
    for unit in dict.fromkeys(p.unit for p in panels):
        own = [ax for ax, p in zip(axes, panels, strict=True) if p.unit == unit]
        low = min(ax.dataLim.y0 for ax in own)
        high = max(ax.dataLim.y1 for ax in own)
        low = min(low * 1.08, 0.0)
        for ax in own:
            ax.set_ylim(low, high + 0.18 * (high - low or 1.0))


def _scale(unit: str) -> str:
    return "Amplitude / first" if unit == "1" else f"Amplitude ({unit_text(unit)})"


def _data_label(panel: _Panel) -> str:
    if panel.miss is None or panel.miss.sd is None or panel.term is None:
        return "Data"
    n = panel.term.n
    if n is None:
        return "Data ± SD"
    known = [n] if isinstance(n, int) else [k for k in n if k is not None]
    some = f"{min(known)}–{max(known)}" if len(set(known)) > 1 else known[0]
    return f"Data ± s.e.m. (n = {some})"
