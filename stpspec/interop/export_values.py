"""Values of an export: an experiment simulated at its values, with its files and what it gives."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stpspec.dataset import SIGNALS, arrival_times
from stpspec.engine.binding.bound import Bound
from stpspec.engine.binding.parts import parts_of
from stpspec.engine.candidates import candidates_of
from stpspec.engine.mechanisms.nmodl import flat_name, flattened, included_in
from stpspec.engine.mechanisms.partner_voltage import is_transferred
from stpspec.engine.simulate import stimuli_of
from stpspec.engine.workers.place import bind
from stpspec.engine.workers.place import simulate as run_in_neuron
from stpspec.errors import ResultError, SimulationError
from stpspec.interop.cell_files import words_of
from stpspec.interop.cell_values import prepared_cells
from stpspec.interop.imported import file_name, minimal
from stpspec.interop.preparation import GapPreparation, Preparation, SynapsePreparation
from stpspec.results.folder import with_own_files
from stpspec.results.provenance import sources_of
from stpspec.specs.experiment import Experiment
from stpspec.specs.model import Synapse
from stpspec.specs.places import DELAY, is_place
from stpspec.specs.result_files import Sources, field_in
from stpspec.specs.stimulus import CurrentStep, Stimulus
from stpspec.units import UnitError, convert

if TYPE_CHECKING:
    import xarray as xr


def prepare(experiment: Experiment) -> SynapsePreparation | GapPreparation:
    """Simulate an experiment at its values, and return what an export of it needs.

    Parameters
    ----------
    experiment : Experiment
        Free parameters have their start, as those of a saved fit.

    Raises
    ------
    ResultError
        If its NetCon has several weights, or it draws random numbers.
    SimulationError
        If it cannot be simulated.
    """
    model = experiment.model
    if isinstance(model, Synapse) and not isinstance(model.net_con.weight, int | float):
        raise ResultError("a NetCon with several weights is not exported")
    bound = bind(in_fixed_steps(experiment))
    if bound.stochastic:
        raise ResultError(
            f"{' and '.join(bound.stochastic)} draws random numbers, which stpspec seeds for each "
            f"trial: no other program has its streams, so that no export could give the same "
            f"trials; the folder of the result gives them again wherever stpspec runs it"
        )
    candidates = candidates_of(bound, None)
    free = candidates.rows[0]
    tree = run_in_neuron(bound, None)
    if failed := str(tree.dataset["failure"].values[0]):
        raise SimulationError(f"the result cannot be simulated again: {failed}")
    stimuli = stimuli_of(bound, candidates, list(bound.experiment.protocols))
    files = sources_of(experiment)
    own = with_own_files(experiment, files.texts, files.places)
    common = _common(bound, free, stimuli, own, files, tree)
    if isinstance(model, Synapse):
        return _synapse(common, bound, free, stimuli, own, files)
    return _gap_junction(common, bound, stimuli)


def in_fixed_steps(experiment: Experiment) -> Experiment:
    """Return an experiment with the fixed step, which is the one of every export."""
    if experiment.numerics.integrator != "variable":
        return experiment
    return experiment.changed({"numerics.integrator": "fixed"})


def _common(
    bound: Bound, free: Mapping[str, float], stimuli: Mapping[str, Stimulus],
    own: Experiment, files: Sources, tree: xr.DataTree,
) -> Preparation:  # fmt: skip
    """Return what is alike for all models."""
    mechanism, numerics = bound.mechanism, bound.experiment.numerics
    values = {k: v for k, v in _given(bound, free).items() if k in mechanism.parameters}
    shared = mechanism.global_parameters
    after = _delay(bound, free) + 3 * numerics.dt  # what lags by a step is there, too
    return Preparation(
        name=file_name(own.name),
        mechanism=mechanism.name,
        values={k: v for k, v in values.items() if k not in shared},
        global_values={k: v for k, v in values.items() if k in shared},
        cells=prepared_cells(bound, free, own, files),
        recordings={n: _recording(bound, n, free) for n in stimuli},
        numerics=numerics.model_dump(mode="json"),
        currents=tuple(bound.currents),
        factors=_factors(mechanism.variable_units, bound.outward_currents),
        state_names=tuple(mechanism.states),
        stops={n: numerics.settle + s.stop + after for n, s in stimuli.items()},
        texts=_needed(bound, files),
        reference=tree,
        experiment=bound.experiment,
    )


def _synapse(
    common: Preparation, bound: Bound, free: Mapping[str, float],
    stimuli: Mapping[str, Stimulus], own: Experiment, files: Sources,
) -> SynapsePreparation:  # fmt: skip
    delay, settle = _delay(bound, free), bound.experiment.numerics.settle
    given = _given(bound, free)
    # The name is that of a parameter where the mechanism has one: one name sets one thing.
    weights = {} if "weight" in bound.mechanism.parameters else given
    data = own.to_data()
    return SynapsePreparation(
        **vars(common),
        weight=weights.get("weight", bound.weights[0]),
        delay=delay,
        arrivals={n: arrival_times(s.spikes, delay, settle).tolist() for n, s in stimuli.items()},
        units={k: bound.units[k] for k in (*common.values, *common.global_values)},
        named_files={
            field_in(data, field): name
            for field, name in files.places.items()
            if name.startswith("data/") or field.startswith("model.cell.arguments.")
        },
        data=minimal(own),
    )


def _gap_junction(
    common: Preparation, bound: Bound, stimuli: Mapping[str, Stimulus]
) -> GapPreparation:
    partner = bound.experiment.model.partner_voltage
    return GapPreparation(
        **vars(common),
        partner_voltage=partner,
        is_transferred=is_transferred(bound.mechanism, partner),
        onset=bound.experiment.numerics.settle,
        steps={n: s.step or CurrentStep(0.0, 0.0) for n, s in stimuli.items()},
    )


def _given(bound: Bound, free: Mapping[str, float]) -> dict[str, float]:
    """Return the values that the experiment sets of the mechanism, and of the weight."""
    values = {**bound.experiment.model.fixed, **free}
    return {n: float(v) for n, v in values.items() if not is_place(n)}


def _delay(bound: Bound, free: Mapping[str, float]) -> float:
    """Return the delay of the NetCon, ms; 0 where there is none."""
    model = bound.experiment.model
    usual = model.net_con.delay if isinstance(model, Synapse) else 0.0
    return float(free.get(DELAY, usual))


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


def _needed(bound: Bound, files: Sources) -> dict[str, str]:
    """Return the files that the cells and the mechanism need, the shipped ones among them."""
    words = {word for template in bound.templates for word in words_of(template)}
    names = {m: p for m, p in bound.sources.items() if m in bound.in_use or m in words}
    paths = {f"mod/{n}": p for m, p in names.items() for n in (p.name, f"{m}.mod")}
    paths |= {
        f"mod/{flat_name(written)}": file
        for p in names.values()
        for written, file in included_in(p).items()
    }
    return {
        n: _beside_its_includes(paths[n], t) if n in paths else t
        for n, t in files.texts.items()
        if n in paths or n.startswith(("templates/", "data/"))
    }


def _beside_its_includes(path: Path, text: str) -> str:
    """Return a text as it is unless it includes files outside of its folder: they lie in it now."""
    leads_out = any(flat_name(written) != written for written in included_in(path))
    return flattened(path) if leads_out else text
