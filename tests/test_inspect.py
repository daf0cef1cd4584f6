"""Inspect: what every point process of a folder declares, and how it answers an event."""

import json
from pathlib import Path

import pytest
from commands import run_command

from stpspec.engine.survey.folder import survey

TESTS = Path(__file__).parent
LAB = TESTS / "laboratory" / "mod"

BROKEN = """NEURON {
 POINT_PROCESS LabBroken
 NONSPECIFIC_CURRENT i
}
ASSIGNED { v (mV) i (nA) }
BREAKPOINT { i = nowhere_declared * v }
"""

WEIGHTS = """NEURON { POINT_PROCESS LabWeights
 RANGE tau, e
 NONSPECIFIC_CURRENT i }
UNITS { (nA) = (nanoamp) (mV) = (millivolt) (uS) = (microsiemens) }
PARAMETER { tau = 3 (ms) e = 0 (mV) }
ASSIGNED { v (mV) i (nA) }
STATE { g (uS) }
INITIAL { g = 0 }
BREAKPOINT { SOLVE s METHOD cnexp
 i = g*(v-e) }
DERIVATIVE s { g' = -g/tau }
NET_RECEIVE(w, g_unit (uS)) { g = g + w*g_unit }
"""


@pytest.fixture
def main(tmp_path, monkeypatch, capsys):
    return lambda *words: run_command(tmp_path, monkeypatch, capsys, *words)


@pytest.fixture(scope="module")
def found():
    files = ["Coin", "UnsetGenerator", "ReadsPointer", "HiddenTime", "GlobalDecay", "InvertedGap"]
    surveyed = survey([LAB, *(TESTS / "mod" / f"{name}.mod" for name in files)])
    return {p.name: p for p in surveyed.point_processes}, surveyed


def roles(record):
    return {p.name: p.role for p in record.parameters if p.role}


def test_parameters_have_their_unit_default_limits_and_scope(found):
    lab, parameters = found[0], {}
    for name in ("LabInhibitory", "GlobalDecay"):
        parameters |= {(name, p.name): p for p in lab[name].parameters}
    u = parameters["LabInhibitory", "U1"]
    assert (u.default, u.limits, u.scope) == (0.3, (0.0, 1.0), "RANGE")
    assert parameters["LabInhibitory", "tau_d_GABA"].unit == "ms"
    assert parameters["GlobalDecay", "tau"].scope == "GLOBAL"


def test_roles_are_told_by_name_and_by_their_effect_with_the_reason(found):
    depressing = found[0]["LabDepressing"]
    expected = {"tau1": "rise", "tau2": "decay", "e": "reversal", "Use": "utilization",
                "Dep": "depression", "Fac": "facilitation", "initW": "amplitude"}  # fmt: skip
    assert expected.items() <= roles(depressing).items()
    why = next(p.why for p in depressing.parameters if p.name == "Dep")
    assert why[0] == "name"
    assert any("second / first response" in reason for reason in why)
    assert "used where events arrive" in why


def test_a_time_constant_that_is_off_shows_its_role_when_it_is_tried(found):
    assert roles(found[0]["LabInhibitory"])["tauD"] == "depression"
    assert roles(found[0]["LabInhibitory"])["tauF"] == "facilitation"


def test_names_that_say_nothing_or_mislead_change_no_role(tmp_path):
    text = (LAB / "LabDepressing.mod").read_text()
    for old, new in {"LabDepressing": "LabNameless", "Dep": "tau_quux", "Fac": "xx",
                     "Use": "foo", "tau1": "q1", "tau2": "Facil"}.items():  # fmt: skip
        text = text.replace(old, new)
    (tmp_path / "nameless.mod").write_text(text)
    (record,) = survey([tmp_path]).point_processes
    expected = {"tau_quux": "depression", "xx": "facilitation", "foo": "utilization",
                "q1": "rise", "Facil": "decay"}  # fmt: skip
    assert expected.items() <= roles(record).items()


def test_one_event_tells_a_file_in_nanosiemens_from_one_in_microsiemens(found):
    nano = found[0]["LabDepressing"].calibration
    micro = found[0]["LabInhibitory"].calibration
    assert nano.peak_conductance == pytest.approx(0.4 * 2 * 1e-3, rel=1e-3)  # U initW gfac, uS
    assert micro.peak_conductance == pytest.approx(0.3, rel=1e-3)  # U gbar
    assert (nano.reversal, micro.reversal) == (0.0, -75.0)
    assert nano.weight_exponent == pytest.approx(1, abs=1e-4)


def test_two_netcons_tell_where_plasticity_is_kept(found):
    assert found[0]["LabDepressing"].calibration.state == "NetCon"
    assert found[0]["LabInhibitory"].calibration.state == "instance"
    assert found[0]["GlobalDecay"].calibration.state == "none"


def test_the_second_response_is_that_of_the_closed_form(found):
    # u = U, R = 1; then u and R of the event map after 50 ms.
    from math import exp

    u, d, f = 0.4, 150.0, 20.0
    u2 = u + (1 - u) * u * exp(-50 / f)
    r2 = 1 - (1 - (1 - u)) * exp(-50 / d)
    ratio = found[0]["LabDepressing"].calibration.paired_pulse
    assert ratio == pytest.approx(u2 * r2 / u, rel=1e-4)


def test_the_variable_step_is_refused_where_it_gives_something_else(found):
    assert found[0]["LabDepressing"].calibration.variable_step == "yes"
    assert found[0]["HiddenTime"].calibration.variable_step.startswith("no: it differs")


def test_what_cannot_be_calibrated_says_why(found):
    lab = found[0]
    assert "setRNG" in lab["UnsetGenerator"].not_calibrated
    assert lab["Coin"].random
    assert "random" in lab["Coin"].not_calibrated
    assert "calcium" in lab["ReadsPointer"].not_calibrated
    assert lab["InvertedGap"].kind == "gap junction"
    assert found[1].others == {str(LAB / "LabChannels.mod"): "a density mechanism"}


def test_a_file_that_does_not_compile_is_listed_with_its_line_and_blocks_no_other(tmp_path, main):
    (tmp_path / "broken.mod").write_text(BROKEN)
    (tmp_path / "weights.mod").write_text(WEIGHTS)
    done = main("inspect", str(tmp_path), "--json", "--quiet")
    assert done.returncode == 0
    data = json.loads(done.stdout)
    (broken,) = data["failures"].values()
    assert "broken.mod:6" in broken
    assert "nowhere_declared" in broken
    (weights,) = data["point_processes"]
    assert weights["to_be_given"] == ["g_unit"]
    assert weights["calibration"]["peak_conductance"] == pytest.approx(1.0, rel=1e-4)  # g_unit 1
    alone = main("inspect", str(tmp_path / "broken.mod"), "--quiet")
    assert alone.returncode == 1
    assert "none of the files can be used" in alone.stderr


@pytest.mark.long
def test_two_files_of_one_mechanism_are_both_told(tmp_path):
    for folder, tau in (("a", "5"), ("b", "9")):
        (tmp_path / folder).mkdir()
        text = WEIGHTS.replace("LabWeights", "LabTwin").replace("tau = 3", f"tau = {tau}")
        (tmp_path / folder / "twin.mod").write_text(text)
    twins = survey([tmp_path]).point_processes
    decays = [p.calibration.decay for p in twins]
    assert decays == pytest.approx([5, 9], abs=0.05)


def test_the_table_fits_into_80_columns(found):
    from stpspec.cli.survey_table import survey_text

    text = survey_text(found[1], 80)
    long = [line for line in text.splitlines() if len(line) > 80 and "/" not in line]
    assert not long
    assert "peak 0.8 nS" in text
    assert "each NetCon has plasticity of its own" in text


@pytest.mark.parametrize(
    ("words", "told"),
    [((), "inspect takes folders"), (("nowhere",), "no file or folder 'nowhere'")],
)
def test_what_is_no_folder_of_mechanisms_is_refused(main, words, told):
    done = main("inspect", *words)
    assert done.returncode in (1, 2)
    assert told in done.stderr


def test_a_gap_junction_is_calibrated_on_two_passive_cells(main):
    """µS, nS, a resistance, and an inverted sign are told apart before anything is fitted."""
    gaps = Path(__file__).parent / "mod" / "gaps"
    files = [gaps / f"{n}.mod" for n in ("RangeGap", "RangeNonspecific", "ResistanceGap")]
    inverted = Path(__file__).parent / "mod" / "InvertedGap.mod"
    done = main("inspect", *map(str, files), str(inverted), "--json", "--quiet")
    found = {p["name"]: p["coupling"] for p in json.loads(done.stdout)["point_processes"]}
    assert found["RangeGap"]["conductance_of_one"] == pytest.approx(1, rel=1e-3)  # µS
    assert found["RangeNonspecific"]["conductance_of_one"] == pytest.approx(1e-3, rel=1e-3)
    assert found["RangeNonspecific"]["partner"] == "vpre"
    assert found["ResistanceGap"]["acts_as"] == "resistance"
    assert found["ResistanceGap"]["conductance_of_one"] == pytest.approx(1, rel=1e-3)
    assert found["InvertedGap"]["coefficient"] < 0
    text = main("inspect", str(inverted), "--quiet").stdout
    assert "drives their voltages apart" in text
