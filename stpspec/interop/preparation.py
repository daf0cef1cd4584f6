"""A synapse ready to be exported: all that a plain NEURON script needs, as numbers and files."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stpspec.dataset import SIGNALS, arrival_times
from stpspec.engine.binding.bound import Bound
from stpspec.engine.binding.parts import parts_of
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
from stpspec.specs.places import DELAY, Place, is_place, place_of
from stpspec.specs.result_files import bytes_of, field_in
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
    section_values : tuple of (str, str, float)
        Section, attribute, value: what the experiment sets of the cell, in this order.
    recordings : dict of str to dict
        Protocol → how it is recorded.
    numerics : dict
        As in the experiment.
    currents : tuple of str
        Variables whose sum is the synaptic current.
    factors : dict of str to float
        Variable → factor from its unit to that of the recorded signals, pA and nS, with its sign.
    state_names : tuple of str
        Variables that do not lag by a step.
    arrivals : dict of str to list of float
        Protocol → arrivals of its events, ms from the start of the run.
    stops : dict of str to float
        Protocol → ms.
    texts : dict of str to str
        Files in ``mod/``, ``templates/`` and ``data/``.
    data_files : dict of str to str
        Field of a target that names a file → which of the texts it is.
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
    section_values: tuple[tuple[str, str, float], ...]
    recordings: dict[str, dict[str, Any]]
    numerics: dict[str, Any]
    currents: tuple[str, ...]
    factors: dict[str, float]
    state_names: tuple[str, ...]
    arrivals: dict[str, list[float]]
    stops: dict[str, float]
    texts: dict[str, str]
    data_files: dict[str, str]
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
        If it is no synapse with one weight, or draws random numbers.
    SimulationError
        If it cannot be simulated.
    """
    model = experiment.model
    if model.kind != "synapse":
        raise ResultError("only synapses are exported; of a gap junction the spec is all there is")
    if not isinstance(model.net_con.weight, int | float):
        raise ResultError("a NetCon with several weights is not exported")
    bound = bind(experiment)
    if bound.stochastic:
        raise ResultError(
            f"{', '.join(bound.stochastic)} draws random numbers: the trials of a synapse are not "
            f"exported, as no other program has its streams"
        )
    candidates = candidates_of(bound, None)
    free = candidates.rows[0]
    tree = run_in_neuron(bound, None)
    if failed := str(tree.dataset["failure"].values[0]):
        raise SimulationError(f"the result cannot be simulated again: {failed}")
    inner = bound.experiment
    given = {**inner.model.fixed, **free}
    values = {n: v for n, v in given.items() if not is_place(n)}
    own_weight = "weight" in bound.mechanism.parameters
    weight = inner.model.net_con.weight if own_weight else values.pop(
        "weight", inner.model.net_con.weight)  # fmt: skip
    shared = bound.mechanism.global_parameters
    stimuli = stimuli_of(bound, candidates, list(inner.protocols))
    settle, dt = inner.numerics.settle, inner.numerics.dt
    delay = {DELAY: inner.model.net_con.delay, **free}[DELAY]
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
        arguments=_arguments(own.to_data()["model"]["cell"]["arguments"], free),
        section=model.section,
        position=model.position,
        section_values=(
            *_section_values(inner.model.fixed, bound.units),
            *_section_values(free, bound.units),
        ),
        recordings={n: _recording(bound, n, free) for n in stimuli},
        numerics=inner.numerics.model_dump(mode="json"),
        currents=tuple(bound.currents),
        factors=_factors(bound.mechanism.variable_units, bound.outward_currents),
        state_names=tuple(bound.mechanism.states),
        arrivals={n: arrival_times(s.spikes, delay, settle).tolist() for n, s in stimuli.items()},
        stops={n: settle + s.stop + delay + 3 * dt for n, s in stimuli.items()},
        texts=texts,
        data_files={
            field_in(own.to_data(), field): name
            for field, name in files.places.items()
            if name.startswith("data/")
        },
        data=minimal(own),
        reference=tree,
        experiment=inner,
    )


def _arguments(
    written: dict[str, Any] | list[Any], free: Mapping[str, float]
) -> dict[str, Any] | list[Any]:
    """Return the arguments of the cell with those that are free at their values."""
    named = [(p, v) for n, v in free.items() if (p := place_of(n)) and p.part == "argument"]
    changed = {p.name: v for p, v in named if p.cell == "cell"}
    if isinstance(written, dict):
        return {**written, **changed}
    return [changed.get(str(k), value) for k, value in enumerate(written)]


def _section_values(
    values: Mapping[str, float], units: Mapping[str, str]
) -> list[tuple[str, str, float]]:
    """Return what is set of single sections; what is said of fewer of them comes last."""
    found = []
    for name, value in values.items():
        place = place_of(name) if is_place(name) else None
        if place is not None and place.part == "section":
            sections = _sections(place, units)
            found.append(((place.section != "all", -len(sections)), place.name, sections, value))
    found.sort(key=lambda entry: entry[0])
    return [(s, attribute, float(v)) for _, attribute, sections, v in found for s in sections]


def _sections(place: Place, units: Mapping[str, str]) -> list[str]:
    """Return the names of the single sections that a place names."""
    known = [p.section for n in units if (p := place_of(n)) and p.part == "section"
             and p.cell == "cell" and p.name == place.name]  # fmt: skip
    groups = {n.partition("[")[0] for n in known if "[" in n} | {"all"}
    single = [n for n in known if n not in groups and not n.startswith("all[")]
    if place.section == "all":
        return single
    members = [n for n in known if n.startswith(f"{place.section}[")]
    return members or [place.section]


def _recording(bound: Bound, run: str, free: Mapping[str, float]) -> dict[str, Any]:
    """Return how a protocol is recorded, with what is free of it at its value."""
    part = parts_of(bound, [run], free)[0]
    own = part.rows([free])[0]
    changed = {n.removeprefix("recording."): v for n, v in own.items()
               if n.startswith("recording.")}  # fmt: skip
    return {**part.bound.experiment.recording.model_dump(mode="json"), **changed}


def _factors(units: Mapping[str, str], outward: Collection[str]) -> dict[str, float]:
    """Return the factors of what is a current or a conductance by its unit."""
    found = dict.fromkeys(outward, -SIGNALS["synaptic_current"][2])
    for name, unit in units.items():
        for ours in ("pA", "nS") if unit else ():
            with contextlib.suppress(UnitError):
                found[name] = convert(f"1 {unit}", ours) * (-1 if name in outward else 1)
    return found


def _needed(
    experiment: Experiment, texts: dict[str, str], sources: dict[str, Path]
) -> dict[str, str]:
    """Return the files that the cell and the synapse need, the shipped ones among them."""
    words = words_of(find_file(experiment.model.cell.file, "templates"))
    names = {m: p for m, p in sources.items() if m == experiment.model.mechanism or m in words}
    kept = {f"mod/{p.name}" for p in names.values()} | {f"mod/{m}.mod" for m in names}
    kept |= {f"mod/{written}" for p in names.values() for written in included_in(p)}
    return {n: t for n, t in texts.items() if n in kept or n.startswith(("templates/", "data/"))}


def write_texts(folder: Path, texts: dict[str, str]) -> None:
    """Write files by their names inside a folder, byte by byte as they were."""
    for name, text in texts.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(bytes_of(text))
