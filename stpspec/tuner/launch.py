"""The tuner in Python: what ``stpspec.tune`` returns, shown by a notebook or a browser."""

from __future__ import annotations

import atexit
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stpspec.specs.experiment import Experiment
from stpspec.tuner.server import TunerServer
from stpspec.tuner.sources import experiments_of

if TYPE_CHECKING:
    from stpspec.results.fit_result import FitResult
    from stpspec.tuner.state import State

_HEIGHT = 820  # px; of the frame in a notebook


def tune(
    source: Experiment | FitResult | str | Path | Mapping[str, Experiment],
    overrides: Sequence[str] = (),
    *,
    port: int = 0,
) -> Tuner:
    """Open an experiment in the web tuner: sliders, traces and metrics.

    Parameters
    ----------
    source : Experiment, FitResult, str, Path or mapping of str to Experiment
        A name, a file, the folder of a saved result, or a table of connections also, for whose
        rows ``experiment=NAME`` among the overrides is the base.
    overrides : sequence of str
        In Hydra's syntax, where the source is a name or a file.
    port : int
        0 for any that is free.

    Returns
    -------
    Tuner
        A notebook shows it; elsewhere its ``address`` is for a browser. Its ``experiment`` is what
        has been tuned last.

    Raises
    ------
    TunerError
        If panel is not installed (``pip install 'stpspec[tuner]'``) or the port is taken.
    SpecError
        If the experiment is not valid.
    """
    return Tuner(experiments_of(source, overrides), port=port)


class Tuner:
    """A tuner that is served by this process, until it is closed or the process ends.

    Parameters
    ----------
    connections : mapping of str to Experiment
        What can be chosen, by name.
    port : int

    Attributes
    ----------
    address : str
        For a browser on this computer.
    """

    def __init__(self, connections: Mapping[str, Experiment], *, port: int = 0):
        self._experiment = next(iter(connections.values()))
        self._server = TunerServer(connections, port=port, on_change=self._changed)
        self._server.begin()
        self.address = self._server.address
        atexit.register(self.close)

    def _changed(self, state: State) -> None:
        self._experiment = state.experiment

    @property
    def experiment(self) -> Experiment:
        """The experiment with the values of the page that was touched last."""
        return self._experiment

    def close(self) -> None:
        """End the server, and the processes of its pages."""
        atexit.unregister(self.close)
        self._server.stop()

    def __enter__(self) -> Tuner:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Tuner({self._experiment.name}: {self.address})"

    def _repr_html_(self) -> str:
        from html import escape

        address, title = escape(self.address), escape(f"tuner of {self._experiment.name}")
        frame = f'<iframe src="{address}" title="{title}" width="100%" height="{_HEIGHT}"'
        return (
            f'{frame} style="border: 1px solid #ccc"></iframe>'
            f'<a href="{address}" target="_blank">{address}</a>'
        )
