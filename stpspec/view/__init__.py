"""Views for people: tables of text and figures of results, from plain data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stpspec.registry import exports

if TYPE_CHECKING:
    from stpspec.view.amplitudes import plot_amplitudes
    from stpspec.view.campaign_figure import plot_campaign
    from stpspec.view.multirun import plot_jobs
    from stpspec.view.path import plot_path
    from stpspec.view.sweep import plot_sweep
    from stpspec.view.targets import plot_targets
    from stpspec.view.traces import plot_traces

__all__ = [
    "plot_amplitudes",
    "plot_campaign",
    "plot_jobs",
    "plot_path",
    "plot_sweep",
    "plot_targets",
    "plot_traces",
]

__getattr__ = exports(
    __name__,
    {
        "plot_amplitudes": "amplitudes",
        "plot_campaign": "campaign_figure",
        "plot_jobs": "multirun",
        "plot_path": "path",
        "plot_sweep": "sweep",
        "plot_targets": "targets",
        "plot_traces": "traces",
    },
)
