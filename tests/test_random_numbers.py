"""Random numbers are told by the text of a mechanism, and seeded, or refused with the reason."""

import numpy as np
import pytest
from helpers import MOD, synapse, values_of

import stpspec
from stpspec import api
from stpspec.engine import nrn
from stpspec.engine.binding.bind import bind
from stpspec.engine.mechanisms import mod_file, nmodl
from stpspec.engine.rigs.reuse import only_rig
from stpspec.engine.rigs.seeding import stream
from stpspec.engine.workers.place import simulate
from stpspec.errors import FitError, SpecError
from stpspec.resources import shipped

CHANCE = MOD / "chance"
ONE = {"one": {"kind": "single_event", "duration": 15}}
PAIR = {"pair": {"kind": "spike_times", "times": [0, 20], "tail": 15}}


def of(name, protocols=None, *, trials=None, model=None, **changes):
    """Return an experiment with a mechanism of these tests; its event is 1 nS."""
    file = next(f / f"{name}.mod" for f in (CHANCE, MOD) if (f / f"{name}.mod").exists())
    made = synapse(
        protocols or ONE, mechanism=name, fixed={"weight": 0.001},
        model={"mod": [str(file)], **(model or {})},
        recording={"signals": ["synaptic_current"]},
        parameters={"tau": {"min": 1, "max": 9, "start": 3}},
        numerics={"settle": 20, "dt": 0.1},
    )  # fmt: skip
    term = {"metric": "decay_time", "protocol": next(iter(made.protocols)), "target": 5, "sd": 1}
    return made.copy_with(objective={"terms": {"decay": term}}, trials=trials, **changes)


def amplitudes(made, **values):
    """Return the amplitudes of the first candidate, shape (trial, pulse)."""
    tree = simulate(bind(made), values or None)
    assert list(tree["failure"].values) == [""] * tree.sizes["candidate"]
    return values_of(tree, "amplitudes", next(iter(made.protocols)), trials="each")[0]


# -- what the text tells --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "seeders", "distribution"),
    [
        ("UnsetGenerator", {"setRNG": ()}, ""),
        ("UnsetGeneratorC", {"setRNG": ("object",)}, "uniform"),
        ("TwoIds", {"setRNG": ("number", "number")}, ""),
        ("NoiseObject", {"noiseFromRandom": ("object",)}, "normal"),
        ("RandomVariable", {}, ""),
        ("Coin", {}, ""),
    ],
)
def test_text_tells_what_gives_a_mechanism_its_generator(name, seeders, distribution):
    found = nmodl.read(next(MOD.rglob(f"{name}.mod")))
    assert found.parsed
    assert found.draws_random
    assert found.seeders == seeders
    assert found.distribution == distribution
    assert found.unseedable == ()


def test_words_alone_tell_how_our_own_mechanism_is_seeded_where_there_is_no_parser():
    file = shipped("mod") / "MultiVesicle.mod"
    words = mod_file.from_words(nmodl.text_of(file))
    assert words.seeders == nmodl.read(file).seeders == {"setRNG": ("number",) * 3}
    assert words.unseedable == ()
    other = mod_file.from_words(nmodl.text_of(CHANCE / "LibraryRandom.mod"))
    assert other.unseedable == ("what no parser of this NEURON reads",)


SIGNATURES = {
    "nrnran123_newstream3((uint32_t)*getarg(1), (uint32_t)*getarg(2), (uint32_t)*getarg(3))":
        ("number",) * 3,
    "if (ifarg(2)) { nrnran123_newstream((uint32_t)*getarg(1), (uint32_t)*getarg(2)); }":
        ("number",) * 2,
    "/* getarg(4) */ *pv = ifarg(1) ? nrn_random_arg(1) : 0;": ("object",),
    "if (hoc_is_double_arg(1)) { nrnran123_newstream3((uint32_t)*getarg(1), a2, a3); } else if "
    "(ifarg(1)) { *pv = nrn_random_arg(1); } if (ifarg(2)) { a2 = *getarg(2); }": ("number",) * 2,
    "*pv = nrn_random_arg(1); mode = (int) *getarg(2);": ("object", "number"),
}  # fmt: skip


@pytest.mark.parametrize("code", SIGNATURES)
def test_arguments_of_setrng_are_those_that_its_c_code_reads(code, tmp_path):
    file = tmp_path / "one.mod"
    file.write_text(
        "NEURON { POINT_PROCESS One POINTER rng }\nASSIGNED { rng }\n"
        "FUNCTION erand() { VERBATIM\n_lerand = nrn_random_pick((Rand*) _p_rng);\nENDVERBATIM }\n"
        "NET_RECEIVE(w) { w = erand() }\n"
        f"PROCEDURE setRNG() {{ VERBATIM\n{code} (void) _p_rng;\nENDVERBATIM }}\n"
    )
    assert nmodl.read(file).seeders == {"setRNG": SIGNATURES[code]}


def test_ids_go_before_an_object_where_a_mechanism_takes_either(tmp_path):
    file = tmp_path / "one.mod"
    file.write_text(
        "NEURON { POINT_PROCESS One BBCOREPOINTER donotuse }\nASSIGNED { donotuse }\n"
        "FUNCTION erand() { VERBATIM\n_lerand = nrn_random_pick((Rand*) _p_donotuse);\nENDVERBATIM"
        " }\nNET_RECEIVE(w) { w = erand() }\n"
        "PROCEDURE seed(x) { set_seed(x) }\n"
        "PROCEDURE noiseFromRandom() { VERBATIM\n_p_donotuse = nrn_random_arg(1);\nENDVERBATIM }\n"
        "PROCEDURE noiseFromRandom123() { VERBATIM\n"
        "_p_donotuse = nrnran123_newstream3(*getarg(1), *getarg(2), *getarg(3));\nENDVERBATIM }\n"
    )
    assert nmodl.read(file).seeders == {"noiseFromRandom123": ("number",) * 3}


DISTRIBUTIONS = {
    "FUNCTION urand() { PICK } NET_RECEIVE(w) { w = urand() }": "uniform",
    "FUNCTION erand() { PICK } NET_RECEIVE(w) { w = erand() }": "negexp",
    "FUNCTION erand() { PICK } NET_RECEIVE(w) { if (erand() < w) { w = 1 } }": "uniform",
    "FUNCTION draw() { PICK } NET_RECEIVE(w) { LOCAL x x = draw() if (x > w) { w = 1 } }":
        "uniform",
    "FUNCTION draw() { PICK draw = exprand(1) } NET_RECEIVE(w) { w = draw() }": "negexp",
    "FUNCTION urand() { PICK urand = normrand(0, 1) } NET_RECEIVE(w) { w = urand() }": "normal",
    "FUNCTION draw() { PICK } NET_RECEIVE(w) { w = draw() }": "",
}  # fmt: skip


@pytest.mark.parametrize("text", DISTRIBUTIONS)
def test_use_of_the_numbers_tells_which_are_expected_of_a_random_object(text, tmp_path):
    file = tmp_path / "one.mod"
    pick = "VERBATIM\n_lx = nrn_random_pick((Rand*) _p_rng);\nENDVERBATIM"
    file.write_text(
        "NEURON { POINT_PROCESS One POINTER rng }\nASSIGNED { rng }\n"
        + text.replace("PICK", pick)
        + "\nPROCEDURE setRNG() { VERBATIM\n_p_rng = nrn_random_arg(1);\nENDVERBATIM }\n"
    )
    assert nmodl.read(file).distribution == DISTRIBUTIONS[text]


# -- seeded ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["UnsetGenerator", "UnsetGeneratorC", "TwoIds", "RandomVariable"])
def test_release_with_a_probability_fails_as_often_as_it_should(name):
    n, U = 300, 0.3
    a = amplitudes(of(name, PAIR, trials=n).copy_with(
        model=of(name, PAIR).model.copy_with(fixed={"weight": 0.001, "U": U})))  # fmt: skip
    assert set(np.round(a.ravel(), 3)) == {0.0, 70.0}
    released = (a > 0).mean(axis=0)
    np.testing.assert_allclose(released, U, atol=4.5 * np.sqrt(U * (1 - U) / n))
    both = ((a[:, 0] > 0) & (a[:, 1] > 0)).mean()  # the second pulse does not repeat the first
    assert both == pytest.approx(U**2, abs=4.5 * np.sqrt(U**2 / n))


def test_paired_pulses_of_one_site_have_the_ratio_of_its_recovery():
    n, U, D = 300, 0.4, 300.0
    made = of("OneSite", PAIR, trials=n)
    fixed = {"weight": 0.001, "U": U, "D": D}
    tree = simulate(bind(made.copy_with(model=made.model.copy_with(fixed=fixed))), None)
    a = values_of(tree, "amplitudes", "pair", trials="each")[0] / 70
    first, second = U, U * (1 - U * np.exp(-20 / D))
    errors = 4.5 * np.sqrt(np.array([first * (1 - first), second * (1 - second)]) / n)
    assert (abs(a.mean(axis=0) - [first, second]) < errors).all()
    (ratio,) = values_of(tree, "paired_pulse_ratio", "pair")
    assert ratio == pytest.approx(a[:, 1].mean() / a[:, 0].mean(), rel=1e-2)


@pytest.mark.parametrize("name", ["Coin", "UnsetGeneratorC", "TwoIds", "RandomVariable"])
def test_trials_differ_and_the_same_seed_gives_the_same_to_the_bit(name):
    made = of(name, PAIR, trials=12)
    first = amplitudes(made)
    assert np.unique(first, axis=0).shape[0] > 1
    np.testing.assert_array_equal(amplitudes(made), first)
    assert not np.array_equal(amplitudes(made.copy_with(seed=1)), first)
    fewer = amplitudes(made.copy_with(trials=5))  # a trial is the same among many and few
    np.testing.assert_array_equal(fewer, first[:5])


@pytest.mark.parametrize("name", ["Coin", "TwoIds"])
def test_candidate_gives_among_others_what_it_gives_alone(name):
    bound = bind(of(name, PAIR, trials=4))
    alone = simulate(bound, {"tau": 3.0})["pair"]["synaptic_current"].values[0]
    among = simulate(bound, {"tau": [5.0, 3.0, 9.0]})["pair"]["synaptic_current"].values[1]
    np.testing.assert_array_equal(among, alone)


def test_noise_in_each_step_has_the_sd_and_the_distribution_that_the_text_asks_for():
    tree = simulate(bind(of("NoiseObject", trials=20)), None)
    current = tree["one"]["synaptic_current"]
    before = current.values[0][:, current["time"].values < 19]
    assert before.std() == pytest.approx(7.0, rel=0.05)  # 1e-4 µS · 70 mV
    assert abs(before.mean()) < 4.5 * 7 / np.sqrt(before.size)


NOISY = """
from neuron import h

class Noisy:
    def __init__(self):
        self.soma = h.Section("soma", self)
        self.soma.L = self.soma.diam = 20
        self.soma.nseg = 3
        self.soma.insert("pas")
        self.soma.insert("CellNoise")
"""


def test_noise_of_the_cell_is_seeded_in_each_of_its_segments(tmp_path):
    (tmp_path / "noisy.py").write_text(NOISY)
    mod = [str(CHANCE / "CellNoise.mod")]
    made = synapse(
        ONE, fixed={"weight": 0, "e": 0}, numerics={"settle": 20, "dt": 0.1},
        model={"mod": mod, "cell": {"file": str(tmp_path / "noisy.py"), "template": "Noisy"}},
        recording={"kind": "current_clamp", "signals": ["somatic_voltage"]},
    ).copy_with(trials=6)  # fmt: skip
    bound = bind(made)
    assert bound.stochastic == ("CellNoise",)
    voltages = simulate(bound, None)["one"]["somatic_voltage"].values[0]
    assert np.unique(voltages[:, -1]).size == 6
    again = simulate(bind(made), None)["one"]["somatic_voltage"].values[0]
    np.testing.assert_array_equal(again, voltages)
    rig = only_rig(bound)
    with nrn.exclusive():
        rig.seed()
        nrn.hoc().finitialize(-70)
        for _ in range(3):
            nrn.hoc().fadvance()
        currents = {segment.CellNoise.i for segment in rig.owned[0][0].soma}
        rig.tear_down()
    assert len(currents) == 3


# -- told, or refused -----------------------------------------------------------------------


def test_run_and_sweep_without_trials_say_that_it_is_one_realization(caplog):
    api.run(of("Coin"))
    assert "Coin draws random numbers: this is one realization, that of the seed" in caplog.text
    caplog.clear()
    stpspec.sweep(of("Coin"), {"model.fixed.weight": [0.001, 0.002]})
    assert caplog.text.count("this is one realization") == 1
    caplog.clear()
    api.run(of("Coin", trials=1))
    assert caplog.text == ""


@pytest.mark.parametrize("name", ["Coin", "UnsetGenerator"])
def test_fit_without_trials_is_refused_and_the_cure_is_told(name):
    with pytest.raises(FitError, match=rf"{name} draws random numbers.*set trials"):
        api.fit(of(name))


def test_stochastic_synapse_is_fitted_where_it_has_trials():
    result = api.fit(of("Coin", trials=3))
    assert result.parameters["tau"] == pytest.approx(5, rel=1e-2)


REFUSED = {
    "LibraryRandom": r"LibraryRandom draws random numbers by rand, which nothing outside of it",
    "NoSetter": r"NoSetter draws random numbers by nrn_random_pick, which nothing outside of it",
    "Ambiguous": r"Ambiguous takes a Random object, and its text does not tell which numbers",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_seeded_is_refused_with_the_reason(name):
    with pytest.raises(SpecError, match=REFUSED[name]):
        bind(of(name))


def test_distribution_that_the_text_does_not_tell_is_told_by_the_model():
    a = amplitudes(of("Ambiguous", trials=100, model={"distribution": "negexp"}))
    assert a.mean() == pytest.approx(70, rel=0.45)
    assert a.std() == pytest.approx(70, rel=0.6)
    uniform = amplitudes(of("Ambiguous", trials=100, model={"distribution": "uniform"}))
    assert uniform.max() < 70
    assert uniform.mean() == pytest.approx(35, abs=4.5 * 70 / np.sqrt(1200))


def test_mechanism_that_draws_nothing_has_one_trial_whatever_is_asked_for():
    made = synapse(ONE, numerics={"settle": 20}).copy_with(trials=50)
    bound = bind(made)
    assert bound.stochastic == ()
    assert simulate(bound, None)["one"].sizes["trial"] == 1


def test_more_trials_than_fit_into_memory_are_refused():
    with pytest.raises(SpecError, match=r"trials: 100000 trials of 'one'.*at most 1e\+09"):
        bind(of("TwoIds", {"one": {"kind": "single_event", "duration": 5000}}, trials=100_000))


def test_streams_of_all_trials_and_instances_are_different():
    for n in (1, 2, 3):
        ids = {tuple(stream(0, t, k, n)) for t in range(300) for k in range(3)}
        assert len(ids) == 900
        assert all(0 <= i < 2**31 for one in ids for i in one)
