"""Truth behind tables and medians: a known synapse from noisy data, and all Allen pairs."""

import math

import numpy as np
import pytest
from small import experiment

import stpspec
from stpspec import api
from stpspec.analytic import event_map
from stpspec.engine.binding.bind import bind
from stpspec.errors import SpecError
from stpspec.resources import shipped
from stpspec.view.tables import run_table

FREQUENCIES = (10, 20, 40)
TRUTH = {"U": 0.32, "tau_rec": 144.0, "tau_facil": 62.0}  # facilitating and depressing
FIRST = 2.5  # mV, a1 in the unit of the table


def clean():
    """Return the amplitudes of 10 pulses and one 500 ms after them, mV, train by train."""
    trains = []
    for f in FREQUENCIES:
        times = [1000 / f * k for k in range(10)]
        map_of = np.ravel(event_map(*TRUTH.values(), [*times, times[-1] + 500]))
        trains.append(FIRST * map_of / map_of[0])
    return np.array(trains)


def from_table(path, amplitudes, sd):
    rows = ["frequency [Hz],pulse,amplitude [mV],sd [uV]"]
    rows += [
        f"{f},{k},{a!r},{1e3 * sd!r}"
        for f, train in zip(FREQUENCIES, amplitudes.tolist(), strict=True)
        for k, a in enumerate(train, 1)
    ]
    (path / "amplitudes.csv").write_text("\n".join(rows), encoding="utf-8")
    protocol = {"kind": "trains", "frequencies": list(FREQUENCIES), "recovery_delays": 500,
                "n_induction": 10, "n_recovery": 1}  # fmt: skip
    target = {"source": "table", "file": str(path / "amplitudes.csv")}
    term = {"metric": "amplitudes", "protocol": "stp", "target": target, "scale": "free"}
    parameters = {
        "U": {"min": 0.01, "max": 0.99},
        "tau_rec": {"min": 5, "max": 3000, "scale": "log"},
        "tau_facil": {"min": 1, "max": 2000, "scale": "log"},
    }
    return experiment(
        protocols={"stp": protocol}, objective={"terms": {"a": term}}, parameters=parameters
    )


def true_scale():
    """Return mV of the table by pA of the model: the first amplitude of the true synapse."""
    event = {"single": {"kind": "single_event"}}
    made = experiment(protocols=event, objective=None, numerics={"dt": 0.025})
    tree = stpspec.simulate(made, dict(TRUTH))
    return FIRST / float(stpspec.measure(made, tree)["single.amplitude"][0])


def test_a_table_without_noise_gives_the_synapse_and_the_scale_back(tmp_path):
    result = stpspec.fit(from_table(tmp_path, clean(), 0.05 * FIRST))
    assert result.parameters == pytest.approx(TRUTH, rel=2e-3)
    assert result.scales["free"]["value"] == pytest.approx(true_scale(), rel=2e-3)
    assert result.scales["free"]["unit"] == "mV/pA"
    assert result.n_evaluations < 200


@pytest.mark.long
def test_noisy_tables_give_the_synapse_and_the_scale_back_without_bias(tmp_path):
    rng, sd, n = np.random.default_rng(0), 0.05 * FIRST, 200
    found, errors = [], []
    for _ in range(n):
        noisy = clean() + rng.normal(0, sd, (3, 11))
        result = stpspec.fit(from_table(tmp_path, noisy, sd))
        assert result.n_evaluations < 200
        scale = result.scales["free"]
        found.append([*result.parameters.values(), scale["value"]])
        errors.append([result.errors.get(name, math.nan) for name in TRUTH]
                      + [scale.get("standard_error", math.nan)])  # fmt: skip
    found, truth = np.array(found), np.array([*TRUTH.values(), true_scale()])
    spread = found.std(axis=0, ddof=1)
    assert (np.abs(found.mean(axis=0) - truth) < 2 * spread / math.sqrt(n)).all()
    # The standard errors that a fit tells are the spread that there is.
    assert np.nanmedian(np.array(errors), axis=0) == pytest.approx(spread, rel=0.15)


# -- the Allen medians ---------------------------------------------------------------------------


def allen(metric, pre="pvalb", post="pyr", *, options=None, protocol=None, clamp=True, **source):
    term = {"metric": metric, "protocol": "train", "options": options or {},
            "target": {"source": "allen", "pre": pre, "post": post, **source}}  # fmt: skip
    changes = {} if clamp else {"recording": {"kind": "current_clamp"}}
    return experiment(
        protocols={"train": protocol or {"kind": "train"}}, objective={"terms": {"t": term}},
        **changes,
    )  # fmt: skip


def read(*args, **kwargs):
    return bind(allen(*args, **kwargs)).experiment.objective.terms["t"]


@pytest.mark.parametrize(
    ("metric", "value"),
    [("latency", 0.94111), ("rise_time", 1.26759), ("decay_time", 6.03427)],
)
def test_kinetics_come_in_the_unit_of_the_metric(metric, value):
    assert read(metric).target == value


def test_an_ipsp_comes_without_its_sign_as_a_potential_in_current_clamp():
    assert read("amplitude", clamp=False).target == 0.462044
    with pytest.raises(SpecError, match="recording=current_clamp"):
        read("amplitude")


def test_a_rise_is_measured_as_the_data_set_does():
    assert read("rise_time").options["interval"] == "onset_to_peak"
    with pytest.raises(SpecError, match="interval: onset_to_peak"):
        read("rise_time", options={"interval": [0.2, 0.8]})


def test_plasticity_comes_with_its_preset_and_the_n_of_the_data_set():
    term = read("induction", options={"preset": "allen"})
    assert term.target == -0.523635
    assert term.options["normalizer"] == "first"
    assert term.options["scale"] == pytest.approx(0.48896 / 0.462044)


def test_an_experiment_that_uses_an_allen_number_names_its_preset(caplog):
    with pytest.raises(SpecError, match="name the preset"):
        read("recovery")
    with caplog.at_level("WARNING"):
        assert read("recovery", options={"preset": "max"}).options == {"preset": "max"}
    assert "of preset allen, and is compared with that of preset max" in caplog.text


def test_another_train_is_not_what_the_allen_institute_measured():
    with pytest.raises(SpecError, match="8 pulses at 50 Hz"):
        read("induction", protocol={"kind": "train", "frequency": 20}, options={"preset": "allen"})


def test_unknown_pairs_and_metrics_name_the_nearest():
    with pytest.raises(SpecError, match="did you mean 'pvalb'"):
        allen("induction", "pv")
    with pytest.raises(SpecError, match="the Allen medians have no paired_pulse_ratio"):
        read("paired_pulse_ratio")
    with pytest.raises(SpecError, match="signal: synaptic_current"):
        read("latency", clamp=False, options={"signal": "somatic_voltage"})


UNREACHABLE = {"pyr→vip": 0.0297, "sst→pyr": 4.84, "vip→pyr": 1.14}


@pytest.mark.long
@pytest.mark.parametrize("preset", ["allen", "max", "percentile_90"])
def test_all_pairs_of_subclasses_straight_from_the_medians(tmp_path, preset):
    words = [f"objective.terms.{t}.options.preset={preset}" for t in ("induction", "recovery")]
    table = shipped("experiments") / "allen_pairs" / "pairs.csv"
    campaign = stpspec.campaign(table, "allen_pairs", words, folder=tmp_path / "c")
    connections = {c.label: c for c in campaign.connections}
    assert len(connections) == 16
    missed = UNREACHABLE if preset == "allen" else {}
    for label, connection in connections.items():
        loss = connection.summary["loss"]
        if label in missed:
            assert connection.summary["status"] == "unreachable"
            assert loss == pytest.approx(missed[label], rel=0.01)
        else:
            assert connection.summary["status"] == "converged"
            assert all(abs(m) < 0.05 for m in connection.misses.values()), label


def test_a_run_measures_with_the_options_that_a_source_gives_as_a_fit_does(tmp_path):
    made = stpspec.load("allen_pairs", ["parameters.U.start=0.3", "numerics.dt=0.1"])
    _, measured = api.run(made)
    given = {r.name: (r.options.get("scale"), float(m.value)) for r, m in measured.items()}
    dataset = stpspec.measure(made, stpspec.simulate(made))
    plain = api.run(made.changed({"objective": None}))[1]
    usual = {r.name: float(m.value) for r, m in plain.items() if m.value.ndim == 0}
    for name in ("induction", "recovery"):
        scale, value = given[name]
        assert scale == pytest.approx(1.05826, abs=1e-5)  # 0.48896 mV / 0.462044 mV
        assert value == pytest.approx(float(dataset[name][0]))
        # Both are parts of N: by default that is the largest amplitude, here a1 times the scale.
        assert value != pytest.approx(usual[f"train.{name}"], rel=0.02)


def test_a_run_measures_a_model_at_the_samples_of_its_recorded_target(tmp_path):
    t = np.arange(0, 60, 0.5)
    rows = np.column_stack([t, -65 + np.sin(t)])
    file = tmp_path / "cell.csv"
    np.savetxt(file, rows, "%.4f", ",", header="time (ms),Vm (mV)", comments="")
    target = {"source": "trace", "file": str(file), "stimulus": [20]}
    made = experiment(
        recording={"kind": "current_clamp"}, protocols__single__duration=40,
        objective={"terms": {"epsp": {"metric": "trace", "protocol": "single", "target": target}}},
    )  # fmt: skip
    measured = {r.name: m for r, m in api.run(made)[1].items()}
    assert not measured["epsp"].reason
    shown = run_table(api.run(made)[1], made.protocols, width=100)
    assert f"times={measured['epsp'].value.size} values" in shown
