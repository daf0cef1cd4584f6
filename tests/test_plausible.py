"""What physics or practice forbids is told before it is simulated, with the likely slip."""

from math import inf

import pytest
import small
from small import data

from stpspec import api
from stpspec.campaigns.plan import plan
from stpspec.config.compose import load
from stpspec.config.errors import ConfigError
from stpspec.config.locations import ambiguous_number
from stpspec.errors import SpecError, StpspecError
from stpspec.registry import METRICS, PROTOCOLS
from stpspec.resources import experiments
from stpspec.specs.experiment import Experiment
from stpspec.specs.fitter import Budget
from stpspec.specs.model import NetCon
from stpspec.specs.numerics import Numerics
from stpspec.specs.plausible import implausible, ranges
from stpspec.specs.protocol import Continuous, GapStep, Protocol, SingleEvent, SpikeTimes, Train
from stpspec.specs.quantities import unit_of
from stpspec.specs.recording import CurrentClamp, VoltageClamp

SIZE = {"metric": "amplitude", "protocol": "single", "target": 42.0, "sd": 1.0}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def check(**changes):
    """Return path → text of every problem."""
    return {p.path: str(p) for p in api.check(data(**changes))}


def check_term(**changes):
    term = SIZE | {"target": -20, "options": {}} | changes
    return check(
        protocols={
            "single": {"kind": "single_event", "duration": "20 ms"},
            "train": {"kind": "train"},
        },
        objective={"terms": {"size": term}},
    )


# -- signs ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "term",
    [{}, {"target": "-20 pA"}, {"metric": "max_amplitude"}, {"metric": "charge"},
     {"options": {"direction": "negative"}},
     {"metric": "amplitudes", "protocol": "train", "target": [-20.0] * 12}],
    ids=str,
)  # fmt: skip
def test_a_current_written_with_its_sign_is_refused_with_the_cure(term):
    (told,) = check_term(**term).values()
    assert told.startswith("objective.terms.size.target")
    assert "write it without its sign" in told
    assert "options.direction: negative" in told


@pytest.mark.parametrize("metric", ["decay_time", "rise_time", "half_width"])
def test_what_is_no_size_of_the_signal_is_never_below_0(metric):
    (told,) = check_term(metric=metric).values()
    assert f"{metric} is never below 0" in told
    assert "direction" not in told


def test_the_size_with_its_direction_is_understood():
    assert check_term(target=20, options={"direction": "negative"}) == {}


@pytest.mark.parametrize("metric", ["induction", "recovery", "initial"])
def test_metrics_with_a_sign_keep_it(metric):
    assert check_term(metric=metric, protocol="train", target=-0.3) == {}


def test_a_campaign_refuses_a_signed_amplitude_in_its_row_and_column(tmp_path):
    (tmp_path / "base.yaml").write_text(
        "defaults: [{/protocol@protocols.single: single_event}, {override /model: tm_patch},\n"
        "           {override /recording: current_clamp}, _self_]\n"
        "name: signed\n"
        "parameters:\n  weight: {min: 0.01, max: 50, scale: log}\n"
        "objective:\n  terms:\n    psp: {metric: amplitude, protocol: single, sd: 0.02}\n"
    )
    (tmp_path / "signed.csv").write_text(
        "connection,psp [mV],model.fixed.e\npvalb→pyr,-0.462044,-80\npyr→pyr,0.2132,0\n"
    )
    with pytest.raises(SpecError) as caught:
        plan(tmp_path / "signed.csv", tmp_path / "base.yaml", (), tmp_path)
    (told,) = (str(p) for p in caught.value.problems)
    assert "pvalb→pyr" in told or "row" in told
    assert "options.direction: negative" in told


# -- what is clamped ------------------------------------------------------------------------


def test_a_potential_read_where_the_voltage_is_clamped_is_refused_with_the_cure():
    term = SIZE | {"options": {"signal": "somatic_voltage"}}
    signals = ["synaptic_current", "somatic_voltage"]
    found = check(recording__signals=signals, objective={"terms": {"size": term}})
    assert "recording=current_clamp" in found["objective.terms.size.options.signal"]
    assert check(recording={"kind": "current_clamp"}, objective={"terms": {"size": term}}) == {}


# -- units by their long names --------------------------------------------------------------

LONG_NAMES = """
NEURON {{ POINT_PROCESS {name} RANGE tau, e, g, i NONSPECIFIC_CURRENT i }}
UNITS {{ (nA) = (nanoamp) (mV) = (millivolt) }}
PARAMETER {{ tau = 3 (ms) <1e-9,1e9>  e = 0 (millivolts) }}
ASSIGNED {{ v (mV) i ({current}) }}
STATE {{ g ({conductance}) }}
INITIAL {{ g = 0 }}
BREAKPOINT {{ SOLVE state METHOD cnexp  i = 0.001 * g * (v - e) }}
DERIVATIVE state {{ g' = -g/tau }}
NET_RECEIVE(w) {{ g = g + w }}
"""


@pytest.mark.parametrize(
    ("conductance", "peak"),
    [
        ("nS", 1.0),
        pytest.param("nanosiemens", 1.0, marks=pytest.mark.long),
        pytest.param("microsiemens", 1e3, marks=pytest.mark.long),
        pytest.param("picosiemens", 1e-3, marks=pytest.mark.long),
    ],
)
def test_a_conductance_is_in_the_unit_that_its_mechanism_declares(conductance, peak, here):
    name = f"Declared_{conductance}"
    text = LONG_NAMES.format(name=name, conductance=conductance, current="nanoamp")
    (here / f"{name}.mod").write_text(text)
    term = {"metric": "amplitude", "protocol": "single", "target": 1, "sd": 1}
    experiment = Experiment.from_data(data(
        model__mechanism=name, model__mod=[f"{name}.mod"], model__fixed={"e": "0.01 volts"},
        recording__signals=["conductance", "synaptic_current"],
        parameters={"weight": {"min": 0.5, "max": 2}, "tau": {"min": "2 milliseconds", "max": 4}},
        objective={"terms": {
            "g": term | {"options": {"signal": "conductance"}}, "i": term,
        }},
    ))  # fmt: skip
    values = api.measure(experiment, api.simulate(experiment, {"weight": 1, "tau": 3}))
    # An instantaneous rise, sampled at the end of the first step of 0.1 ms.
    assert float(values["g"][0]) == pytest.approx(peak, rel=0.04)
    assert float(values["i"][0]) == pytest.approx(80.0, rel=0.04)  # 1 (unit) × 80 mV, in pA


# -- ranges of practice ---------------------------------------------------------------------


def doubts(**changes):
    """Return path → text of what is possible, but unusual."""
    return {p.path: str(p) for p in implausible(Experiment.from_data(data(**changes)))}


@pytest.mark.parametrize(
    ("path", "value", "meant"),
    [
        ("recording__holding_potential", "-0.07 mV", "-70 mV"),
        ("recording__holding_potential", -0.07, "-70 mV"),
        ("recording__series_resistance", "10 Gohm", "10 MΩ"),
        ("numerics__v_init", -0.065, "-65 mV"),
        ("numerics__dt", 0.5, None),
        ("numerics__settle", 0.5, "500 ms"),
        ("model__net_con", {"weight": 0}, None),
        ("model__net_con", {"delay": "0.2 s"}, "0.2 ms"),
        ("model__fixed", {"e": -0.07}, "-70 mV"),
        ("protocols__train", {"kind": "train", "frequency": 0.02}, "20 Hz"),
        ("protocols__train", {"kind": "train", "recovery_delay": 0.25}, "250 ms"),
        ("protocols__times", {"kind": "spike_times", "times": [0, 0.02, 0.04]}, "20 ms"),
        ("protocols__one", {"kind": "single_event", "duration": 0.1}, "100 ms"),
    ],
)
def test_what_practice_does_not_have_is_told_with_the_likely_slip(path, value, meant):
    assert api.check(data(**{path: value})) == []  # it is possible
    (told,) = doubts(**{path: value}).values()
    assert (f"did you mean '{meant}'" in told) == (meant is not None), told
    place = path.replace("__", ".")
    assert told.startswith(place)


@pytest.mark.parametrize(
    ("path", "value", "cure"),
    [
        ("recording__holding_potential", "-70 V", "-70 mV"),
        ("recording__holding_potential", -70000, "-70 mV"),
        ("numerics__v_init", "-65 V", "-65 mV"),
        ("numerics__temperature", 310, "36.85 °C"),
        ("numerics__dt", 25, "0.025 ms"),
        ("model__net_con", {"delay": "1.3 s"}, "1.3 ms"),
        ("protocols__train", {"kind": "train", "frequency": 20_000}, "20 Hz"),
    ],
)
def test_what_cannot_be_is_refused_with_the_likely_slip(path, value, cure):
    (told,) = check(**{path: value}).values()
    assert told.startswith(path.replace("__", "."))
    assert "possible is" in told
    assert f"did you mean {cure!r}" in told


def test_a_step_of_200_nA_into_a_neuron_is_refused():
    (told,) = problems_of_gap(amplitude=200)
    assert "possible is -100 to 100 nA" in told
    assert "did you mean '0.2 nA'" in told
    assert problems_of_gap(amplitude=-0.05) == []


def problems_of_gap(**step):
    experiment = load("fs_fs_gap").to_data()
    name = next(iter(experiment["protocols"]))
    experiment["protocols"][name] |= step
    return [str(p) for p in api.check(experiment)]


def test_a_step_that_cannot_resolve_the_rise_is_told():
    told = doubts(numerics__dt=0.1, model__fixed={"tau_rise": "0.1 ms"})
    assert "too coarse for tau_rise = 0.1 ms" in told["numerics.dt"]
    assert doubts(numerics__dt=0.1, model__fixed={"tau_rise": "0.5 ms"}) == {}


def test_the_weight_of_the_net_con_does_not_matter_where_another_goes_before():
    free = {"weight": {"min": 0.5, "max": 2}}
    assert doubts(model__net_con={"weight": 0}, parameters=free) == {}
    assert "model.fixed.weight" in doubts(model__fixed={"weight": 0})


def test_options_of_metrics_have_ranges_too():
    term = SIZE | {"options": {"decay": "3 s"}}
    assert doubts(objective={"terms": {"size": term}}) == {}
    term["options"] = {"decay": 0.003}
    told = doubts(objective={"terms": {"size": term}})
    assert "did you mean '3 ms'" in told["objective.terms.size.options.decay"]


@pytest.mark.parametrize("name", sorted(experiments()))
def test_no_shipped_experiment_is_unusual(name):
    assert implausible(load(name)) == []


def test_check_counts_warnings_with_their_places_and_succeeds(here):
    (here / "odd.yaml").write_text(small.YAML + "recording:\n  holding_potential: -0.07\nseed: 1\n")
    said = small.cli("check", "odd.yaml", cwd=here)
    assert said.returncode == 0, said.stderr
    line = small.YAML.count("\n") + 2
    assert f"warning: odd.yaml:{line} | recording.holding_potential: -0.07 mV" in said.stdout
    assert "small: no problems, 1 warning\n" in said.stdout


def test_each_verb_warns_once_before_it_simulates(caplog):
    odd = Experiment.from_data(data(name="odd_potential", recording__holding_potential=-0.5))
    for _ in range(2):
        api.simulate(odd)
    api.run(odd)
    told = [r.getMessage() for r in caplog.records if "is unusual" in r.getMessage()]
    assert len(told) == 1
    assert "odd_potential: recording.holding_potential: -0.5 mV" in told[0]


def test_the_table_of_the_manual_has_every_range():
    page = (small.ROOT / "docs/specs.md").read_text(encoding="utf-8")
    classes = [Numerics, NetCon, VoltageClamp, CurrentClamp]
    classes += [PROTOCOLS.get(n) for n in PROTOCOLS.names()]
    classes += [METRICS.get(n).options for n in ("amplitude", "junctional_conductance")]
    for cls in classes:
        for name, usual in ranges(cls).items():
            kind = f" of {cls.model_fields['kind'].default}" if issubclass(cls, Protocol) else ""
            possible = usual.text(usual.least, usual.most) if usual.most < inf else ""
            usually = usual.text(usual.low, usual.high, usual.smallest)
            row = f"| `{name}`{kind} | {usually} | {possible} |"
            assert row in page, row


@pytest.mark.parametrize("cls", [Numerics, NetCon, VoltageClamp, CurrentClamp, Train, GapStep])
def test_a_range_is_in_the_unit_of_its_field(cls):
    for name, usual in ranges(cls).items():
        assert usual.unit == unit_of(cls.model_fields[name])
        assert usual.least <= usual.low < usual.high <= usual.most


@pytest.mark.parametrize(
    "cls", [VoltageClamp, CurrentClamp, GapStep, Train, SingleEvent, Continuous, SpikeTimes,
            Numerics, NetCon, Budget],
)  # fmt: skip
def test_every_field_with_a_unit_has_a_range(cls):
    with_unit = {n for n, f in cls.model_fields.items() if unit_of(f)}
    assert with_unit <= {*ranges(cls), "times"}  # what counts of times is their intervals


# -- numbers that YAML 1.1 reads as others --------------------------------------------------


@pytest.mark.parametrize(
    ("written", "told"),
    [("020", "as octal: write it as 20,"), ("0250", "as octal: write it as 250,"),
     ("010", "as octal: write it as 10,"), ("1:30", "in base 60: write it as a decimal number,")],
)  # fmt: skip
def test_a_number_that_yaml_reads_as_another_is_refused_with_line_and_cure(here, written, told):
    text = small.YAML.replace("{duration: 20 ms}", f"{{duration: {written}}}")
    (here / "octal.yaml").write_text(text)
    line = text[: text.index(written)].count("\n") + 1
    with pytest.raises(ConfigError, match=rf"octal.yaml:{line}: YAML reads the number {written}"):
        load(here / "octal.yaml")
    with pytest.raises(ConfigError, match=told):
        load(here / "octal.yaml")


@pytest.mark.parametrize("written", ["0", "0.25", "20", '"020"', "0 # 010", "00.5", "10e-3"])
def test_any_other_number_is_read_as_it_is_written(here, written):
    text = small.YAML + f"description: {written}\n"
    (here / "plain.yaml").write_text(text.replace("description: ", "study:\n  name: s\n# "))
    load(here / "plain.yaml")
    assert ambiguous_number(here / "plain.yaml") is None
    (here / "plain.yaml").write_text(f"a: {written}\n")
    assert ambiguous_number(here / "plain.yaml") is None


def test_a_table_in_yaml_is_read_alike(here):
    (here / "base.yaml").write_text(small.YAML)
    (here / "rows.yaml").write_text("- {connection: a, size: 042}\n")
    with pytest.raises(StpspecError, match=r"rows.yaml:1: YAML reads the number 042 as octal"):
        plan(here / "rows.yaml", here / "base.yaml", (), here)


# -- what a fit does not need, and cannot do --------------------------------------------------


def fitted(**changes):
    return api.fit(Experiment.from_data(data(**changes)))


QUICK = {"kind": "minimize", "method": "Nelder-Mead", "start": "middle"}


@pytest.mark.parametrize(
    ("changes", "idle"),
    [
        ({"seed": 3, "fitter": {"kind": "least_squares", "start": "middle"}}, "seed"),
        ({"fitter": {**QUICK, "step": 1e-4}}, "fitter.step"),
        ({"fitter": {**QUICK, "on_failure": "raise", "penalty": 10}}, "fitter.penalty"),
        ({"fitter": QUICK, "parameters": {"U": {"min": 0.1, "max": 0.9, "start": 0.2}}},
         "parameters.U.start"),
        ({"fitter": {"kind": "bounded", "start": "middle"}}, "fitter.start"),
        ({"fitter": {"kind": "optuna", "sampler": "random", "n_startup_trials": 3,
                     "budget": {"evaluations": 4}}}, "fitter.n_startup_trials"),
    ],
)  # fmt: skip
def test_a_setting_without_effect_on_a_fit_is_named_in_its_message(changes, idle):
    message = fitted(**changes).message
    assert message.endswith(f"without effect on this fit: {idle}")


@pytest.mark.parametrize(
    "changes",
    [
        {"fitter": QUICK},
        {"seed": 3, "fitter": {"kind": "optuna", "budget": {"evaluations": 4}}},
        {"seed": 3, "fitter": {"kind": "least_squares", "start": "sobol", "n_starts": 2}},
        {"fitter": {"kind": "least_squares", "step": 1e-5}},
    ],
)
def test_settings_that_have_an_effect_are_not_named(changes):
    assert "without effect" not in fitted(**changes).message


LATENCY = {"metric": "latency", "protocol": "single", "target": 1.6, "sd": 0.05}


@pytest.mark.parametrize(
    "fitter",
    [{"kind": "least_squares"}, QUICK, {"kind": "minimize"},
     {"kind": "optuna", "budget": {"evaluations": 8}}],
    ids=["least_squares", "Nelder-Mead", "SLSQP", "tpe"],
)  # fmt: skip
def test_what_nothing_moves_and_what_nothing_sees_is_named_before_the_search(fitter, caplog):
    caplog.set_level("INFO", "stpspec")
    result = fitted(
        fitter=fitter,
        parameters={"U": {"min": 0.1, "max": 0.9}, "tau_rec": {"min": 100, "max": 500}},
        objective={"terms": {"size": SIZE, "late": LATENCY}},
    )
    told = [r.getMessage() for r in caplog.records]
    for text in ("no target depends on tau_rec", "no free parameter moves late"):
        assert told.count(text) == 1
        assert text in result.message
        ended = next(k for k, t in enumerate(told) if "evaluations: " in t)
        assert told.index(text) < ended
    budget = fitter.get("budget", {}).get("evaluations", 0)
    assert not budget or len(result.history) <= budget


def test_a_target_that_moves_and_a_parameter_that_is_seen_are_not_named():
    result = fitted()
    assert "no target depends" not in result.message
    assert "no free parameter moves" not in result.message
