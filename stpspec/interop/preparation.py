"""A synapse ready to be exported: all that a plain NEURON script needs, as numbers and files."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stpspec.dataset import arrival_times
from stpspec.engine.candidates import candidates_of
from stpspec.engine.mechanisms.nmodl import included_in
from stpspec.engine.simulate import stimuli_of
from stpspec.engine.workers.place import bind
from stpspec.engine.workers.place import simulate as run_in_neuron
from stpspec.errors import ResultError, SimulationError
from stpspec.interop.cell_files import words_of
from stpspec.interop.imported import file_name, minimal
from stpspec.resources import find_file
from stpspec.results.folder import with_own_files
from stpspec.results.provenance import sources_of
from stpspec.specs.experiment import Experiment
from stpspec.specs.result_files import bytes_of
from stpspec.units import UnitError, convert

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class Preparation:
    """One synapse on one cell with the values of a result.

    Attributes
    ----------
    name : str
    mechanism : str
    values, global_values : dict of str to float
        RANGE and GLOBAL parameters that the experiment sets, in the mechanism's units.
    units : dict of str to str
    weight, delay : float
    template, template_file : str
        The file is relative to ``templates/``.
    arguments : dict or list
    section, position : str, float
    recording, numerics : dict
        As in the experiment.
    currents : tuple of str
        Variables whose sum is the synaptic current.
    factors : dict of str to float
        Variable → factor from its unit to that of the recorded signals, pA and nS.
    state_names : tuple of str
        Variables that do not lag by a step.
    arrivals : dict of str to list of float
        Protocol → arrivals of its events, ms from the start of the run.
    stops : dict of str to float
        Protocol → ms.
    texts : dict of str to str
        Files in ``mod/`` and ``templates/``.
    data : dict
        The experiment with these values, its files by their names.
    reference : xarray.DataTree
        What stpspec gives.
    experiment : Experiment
    """

    name: str
    mechanism: str
    values: dict[str, float]
    global_values: dict[str, float]
    units: dict[str, str]
    weight: float
    delay: float
    template: str
    template_file: str
    arguments: dict[str, Any] | list[Any]
    section: str
    position: float
    recording: dict[str, Any]
    numerics: dict[str, Any]
    currents: tuple[str, ...]
    factors: dict[str, float]
    state_names: tuple[str, ...]
    arrivals: dict[str, list[float]]
    stops: dict[str, float]
    texts: dict[str, str]
    data: dict[str, Any]
    reference: xr.DataTree
    experiment: Experiment

    @property
    def mod_files(self) -> list[str]:
        """Names of the .mod files, without their folder."""
        return [n.removeprefix("mod/") for n in self.texts if n.endswith(".mod")]


def prepare(experiment: Experiment) -> Preparation:
    """Simulate an experiment at its values, and return what an export of it needs.

    Parameters
    ----------
    experiment : Experiment
        Free parameters have their start, as those of a saved fit.

    Raises
    ------
    ResultError
        If it is no synapse with one weight.
    SimulationError
        If it cannot be simulated.
    """
    model = experiment.model
    if model.kind != "synapse":
        raise ResultError("only synapses are exported; of a gap junction the spec is all there is")
    if not isinstance(model.net_con.weight, int | float):
        raise ResultError("a NetCon with several weights is not exported")
    bound = bind(experiment)
    candidates = candidates_of(bound, None)
    free = candidates.rows[0]
    tree = run_in_neuron(bound, None)
    if failed := str(tree.dataset["failure"].values[0]):
        raise SimulationError(f"the result cannot be simulated again: {failed}")
    inner = bound.experiment
    values = {**inner.model.fixed, **free}
    own_weight = "weight" in bound.mechanism.parameters
    weight = inner.model.net_con.weight if own_weight else values.pop(
        "weight", inner.model.net_con.weight)  # fmt: skip
    shared = bound.mechanism.global_parameters
    stimuli = stimuli_of(bound, candidates, list(inner.protocols))
    settle, dt = inner.numerics.settle, inner.numerics.dt
    delay = inner.model.net_con.delay
    files = sources_of(experiment)
    texts = _needed(experiment, files.texts, bound.sources)
    own = with_own_files(experiment, files.texts, files.places)
    template_file = files.places["model.cell.file"].removeprefix("templates/")
    return Preparation(
        name=file_name(experiment.name),
        mechanism=model.mechanism,
        values={k: float(v) for k, v in values.items() if k not in shared},
        global_values={k: float(v) for k, v in values.items() if k in shared},
        units={k: bound.units.get(k, "1") for k in values},
        weight=float(weight),
        delay=float(delay),
        template=model.cell.template,
        template_file=template_file,
        arguments=own.to_data()["model"]["cell"]["arguments"],
        section=model.section,
        position=model.position,
        recording=inner.recording.model_dump(mode="json"),
        numerics=inner.numerics.model_dump(mode="json"),
        currents=tuple(bound.currents),
        factors=_factors(bound.mechanism.variable_units),
        state_names=tuple(bound.mechanism.states),
        arrivals={n: arrival_times(s.spikes, delay, settle).tolist() for n, s in stimuli.items()},
        stops={n: settle + s.stop + delay + 3 * dt for n, s in stimuli.items()},
        texts=texts,
        data=minimal(own),
        reference=tree,
        experiment=experiment,
    )


def _factors(units: dict[str, str]) -> dict[str, float]:
    """Return the factors of what is a current or a conductance by its unit."""
    found = {}
    for name, unit in units.items():
        for ours in ("pA", "nS") if unit else ():
            with contextlib.suppress(UnitError):
                found[name] = convert(f"1 {unit}", ours)
    return found


def _needed(
    experiment: Experiment, texts: dict[str, str], sources: dict[str, Path]
) -> dict[str, str]:
    """Return the files that the cell and the synapse need, the shipped ones among them."""
    words = words_of(find_file(experiment.model.cell.file, "templates"))
    names = {m: p for m, p in sources.items() if m == experiment.model.mechanism or m in words}
    kept = {f"mod/{p.name}" for p in names.values()} | {f"mod/{m}.mod" for m in names}
    kept |= {f"mod/{written}" for p in names.values() for written in included_in(p)}
    return {n: t for n, t in texts.items() if n in kept or n.startswith("templates/")}


def write_texts(folder: Path, texts: dict[str, str]) -> None:
    """Write files by their names inside a folder, byte by byte as they were."""
    for name, text in texts.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(bytes_of(text))
