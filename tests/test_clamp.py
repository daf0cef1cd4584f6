"""The same synapse in a patch, an interneuron and a large cell: where the clamp is good, where not.

A synapse on a clamped patch is the truth. Where the clamp holds the voltage, its ratios are found
again on any cell; where it does not, the result says how far the synapse is from the holding
potential, and what that costs.
"""

from typing import Any

import numpy as np
import pytest
from helpers import PATCH, measure, run, synapse, values_of

import stpspec

TRAIN = {"train": {"kind": "train", "n_recovery": 1}}
LARGE = {"file": "branching.py", "template": "BranchingCell"}
CELLS: dict[str, dict[str, Any]] = {
    "patch": {"cell": PATCH},
    "interneuron": {"cell": {"file": "fast_spiking.hoc", "template": "FastSpikingInterneuron"}},
    "large, soma": {"cell": LARGE},
    "large, first dendrite": {"cell": LARGE, "section": "dend[0]", "position": 0.1},
    "large, tip": {"cell": LARGE, "section": "dend[30]", "position": 0.9},
}


def made(where: str, weight: float, recording: dict[str, Any] | None = None, **more: Any) -> Any:
    fixed = {"tau_rise": 0.5, "tau_decay": 3.0, "e": 0, "weight": weight}
    signals = ["synaptic_current", "clamp_current"]
    voltage = {"signals": signals}
    return synapse(TRAIN, model=CELLS[where], fixed=fixed, recording=recording or voltage, **more)


def ratios(tree: Any, **options: Any) -> np.ndarray:
    amplitudes = values_of(tree, "amplitudes", "train", **options)[0]
    return amplitudes / amplitudes[0]


def notes(tree: Any, **options: Any) -> list[str]:
    (one,) = measure(tree, "amplitude", "train", **options)
    return [n for n in one.notes if n.startswith("the clamp is not ideal")]


def test_the_large_cell_has_more_than_300_compartments():
    from stpspec.engine import cells
    from stpspec.specs.model import Cell

    cell = cells.build(Cell(**LARGE))
    assert sum(s.nseg for s in (cell.soma, *cell.dend)) == 311


@pytest.mark.parametrize("where", ["interneuron", "large, soma", "large, first dendrite"])
def test_ratios_agree_with_the_patch_where_the_clamp_is_good(where):
    truth, tree = ratios(run(made("patch", 0.1))), run(made(where, 0.1))
    for signal in ("synaptic_current", "clamp_current"):
        assert ratios(tree, signal=signal) == pytest.approx(truth, abs=0.01)


def test_a_small_potential_has_the_ratios_of_its_synapse_where_it_decays_in_time():
    """In current clamp a slow train of a weak synapse shows the same ratios on any cell."""
    slow = {"train": {"kind": "train", "frequency": 5, "n_induction": 3, "n_recovery": 0}}
    truth = None
    for where in ("patch", "large, soma", "large, tip"):
        experiment = made(
            where, 0.02, {"kind": "current_clamp", "signals": ["somatic_voltage"]}
        ).changed({"protocols": slow})
        found = ratios(run(experiment))
        truth = found if truth is None else truth
        assert found == pytest.approx(truth, abs=0.01)


def test_an_ideal_clamp_at_the_synapse_has_no_note():
    assert notes(run(made("patch", 5.0))) == []
    assert notes(run(made("large, soma", 1.0))) == []
    assert "clamp_departure" not in run(made("patch", 5.0))["train"]


def test_a_synapse_far_from_the_electrode_is_told_with_what_the_clamp_costs():
    tree = run(made("large, tip", 2.0))
    (note,) = notes(tree, signal="clamp_current")
    assert "departs from the holding potential by up to" in note
    child = tree["train"]
    departure = float(child["clamp_departure"][0])
    at_synapse = run(made("large, tip", 2.0, {"signals": ["synapse_voltage"]}))["train"]
    assert departure == pytest.approx(float(np.abs(at_synapse["synapse_voltage"] + 70).max()))
    ideal = {"electrode_section": "dend[30]", "electrode_position": 0.9}
    whole = values_of(run(made("large, tip", 2.0, ideal)), "amplitude", "train")[0]
    for signal in ("synaptic_current", "clamp_current"):
        amplitude = values_of(tree, "amplitude", "train", signal=signal)[0]
        loss = float(child[f"{signal}_clamp_loss"][0])
        assert loss == pytest.approx(1 - amplitude / whole, abs=2e-3)
        assert loss > 0.05
    assert np.abs(ratios(tree) - ratios(run(made("patch", 2.0)))).max() > 0.02


def test_the_drop_across_the_series_resistance_is_told_by_ohms_law():
    recording = {"series_resistance": 10, "signals": ["synaptic_current", "clamp_current"]}
    tree = run(made("patch", 10.0, recording))
    current = np.abs(tree["train"]["clamp_current"].values).max()  # pA
    assert float(tree["train"]["clamp_departure"][0]) == pytest.approx(10 * current / 1e3, rel=1e-3)
    assert notes(tree)


def test_a_fit_tells_the_clamp_error_of_its_answer():
    term = {"metric": "amplitude", "protocol": "train", "target": 40.0, "sd": 1.0}
    experiment = made("large, tip", 2.0, parameters={"U": {"min": 0.1, "max": 0.9}}).changed(
        {"objective": {"terms": {"size": term}}}
    )
    result = stpspec.fit(experiment)
    assert any("the clamp is not ideal" in note for note in result.notes["size"])
