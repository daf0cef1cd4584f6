"""Tables of amplitudes as targets: layouts, units, gaps, trains and scales; what is refused."""

import json
import math

import numpy as np
import pytest
from small import experiment

import stpspec
from stpspec.analytic import event_map
from stpspec.api import check
from stpspec.engine.binding.bind import bind
from stpspec.errors import SpecError

NA = None


def trains(**more):
    return {"kind": "trains", "frequencies": [10, 20], "n_induction": 3, "n_recovery": 1,
            "recovery_delays": 200, **more}  # fmt: skip


def with_table(path, text, source=(), protocol=None, name="table.csv", **term):
    (path / name).write_text(text, encoding="utf-8")
    target = {"source": "table", "file": str(path / name), **dict(source)}
    term = {"metric": "amplitudes", "protocol": "stp", "target": target, **term}
    return experiment(
        protocols={"stp": protocol or trains()}, objective={"terms": {"a": term}}
    )  # fmt: skip


def read(*args, **kwargs):
    """Return the bound term: plain numbers in the unit of its metric."""
    return bind(with_table(*args, **kwargs)).experiment.objective.terms["a"]


def told(*args, **kwargs):
    return " | ".join(map(str, check(with_table(*args, **kwargs))))


LONG = """frequency [Hz],pulse,amplitude [nA],sd [pA],n
10,1,0.10,5,8
10,2,0.08,5,8
10,3,,,
10,4,0.09,5,8
20,1,0.11,6,7
20,2,0.07,6,7
20,4,0.10,6,6
"""


def test_a_row_a_pulse_is_read_in_the_unit_of_the_metric_with_sd_n_and_gaps(tmp_path):
    term = read(tmp_path, LONG)
    assert term.target == [100, 80, NA, 90, 110, 70, NA, 100]
    assert term.sd == [5, 5, NA, 5, 6, 6, NA, 6]
    assert term.n == [8, 8, NA, 8, 7, 7, NA, 6]


def test_a_row_a_train_says_the_same(tmp_path):
    names = ["train (Hz)", *(f"{what}{k} [pA]" for what in ("a", "sd") for k in range(1, 5))]
    rows = [
        [*names, "n"],
        ["20", "110", "70", "NA", "100", "6", "6", "", "6", "7"],
        ["10", "100", "80", "", "90", "5", "5", "", "5", "8"],
    ]
    wide = "".join("\t".join(row) + "\n" for row in rows)
    term = read(tmp_path, wide, name="wide.tsv")
    assert term.target == [100, 80, NA, 90, 110, 70, NA, 100]
    assert term.sd == [5, 5, NA, 5, 6, 6, NA, 6]
    assert term.n == [8, 8, NA, 8, 7, 7, NA, 7]


def test_excel_says_the_same_with_numbers_and_empty_cells(tmp_path):
    openpyxl = pytest.importorskip("openpyxl", reason="the extra 'excel' is not installed")
    book = openpyxl.Workbook()
    page = book.create_sheet("STP")
    for line in LONG.splitlines():
        cells = line.split(",")
        page.append([float(c) if c.replace(".", "").isdigit() else c or None for c in cells])
    book.save(tmp_path / "table.xlsx")
    target = {"source": "table", "file": str(tmp_path / "table.xlsx"), "sheet": "STP"}
    term = {"metric": "amplitudes", "protocol": "stp", "target": target}
    made = experiment(protocols={"stp": trains()}, objective={"terms": {"a": term}})
    assert bind(made).experiment.objective.terms["a"].target == [100, 80, NA, 90, 110, 70, NA, 100]
    made = made.changed({"objective.terms.a.target.sheet": "Sheet 7"})
    assert "has the sheets Sheet, STP" in str(check(made)[0])


def test_semicolons_remarks_and_other_names_of_columns_are_understood(tmp_path):
    text = "# mean of 5 cells\nrate;stimulus number;EPSC [pA];SEM;note\n" + "".join(
        f"{f};{k};{10 * k};2;x\n" for f in (10, 20) for k in (1, 2, 3, 4)
    )
    term = read(tmp_path, text, {"ignore": ["note"]})
    assert term.target == [10, 20, 30, 40] * 2
    assert (term.sd, term.n) == ([2] * 8, None)  # an s.e.m. is the sd of the mean itself


def test_decimal_commas_are_read_where_all_numbers_agree_on_them_and_that_is_said(tmp_path, caplog):
    text = "Frequenz [Hz];pulse;EPSC [nA];SD;n;# note\n" + "".join(
        f"{f};{k};0,{120 + k};0,005;8;pH 7.4\n" for f in ("10,0", "20,0") for k in (1, 2, 3, 4)
    )
    source = {"columns": {"train": "Frequenz"}}
    term = read(tmp_path, text, source)
    assert term.target == pytest.approx([121, 122, 123, 124] * 2)
    assert (term.sd, term.n) == (pytest.approx([5] * 8), [8] * 8)
    assert "table.csv: a comma is the decimal point of its numbers: 10,0 is read as 10.0" in (
        caplog.text
    )
    assert read(tmp_path, text.replace(";", "\t"), source, name="table.tsv").target == term.target


def test_an_sem_beside_its_n_becomes_the_sd_of_n_measurements(tmp_path):
    text = "train,pulse,amplitude,sem,n\n" + "".join(
        f"{f},{k},50,2,9\n" for f in (10, 20) for k in (1, 2, 3, 4)
    )
    term = read(tmp_path, text)
    assert (term.sd, term.n) == ([6] * 8, [9] * 8)


def test_a_train_takes_the_rows_of_its_frequency_and_delay(tmp_path):
    text = (
        "frequency,recovery delay [s],a1,a2,a3,a4\n20,0.2,1,2,3,4\n20,0.5,5,6,7,8\n50,.2,9,9,9,9\n"
    )
    train = {"kind": "train", "frequency": 20, "recovery_delay": 500, "n_induction": 3,
             "n_recovery": 1}  # fmt: skip
    assert read(tmp_path, text, protocol=train).target == [5, 6, 7, 8]
    said = told(tmp_path, text, protocol={**train, "recovery_delay": 300})
    assert "no train of 20 Hz" in said
    assert "delay 200 ms" in said


def test_a_named_train_is_chosen_by_its_name(tmp_path):
    text = "train,a1,a2\ncontrol,10,20\ndrug,30,40\n"
    times = {"kind": "spike_times", "times": [0, 30]}
    assert read(tmp_path, text, {"train": "drug"}, times).target == [30, 40]
    assert "'control'" in told(tmp_path, text, {"train": "contrl"}, times)
    assert "has no frequency to be found by" in told(tmp_path, text, {}, times)


def test_inward_currents_below_0_are_refused_with_the_cure_that_reads_them(tmp_path):
    text = "a1,a2\n-10,-20\n"
    times = {"kind": "spike_times", "times": [0, 30]}
    assert "sign: negative" in told(tmp_path, text, {}, times)
    assert read(tmp_path, text, {"sign": "negative"}, times).target == [10, 20]


def test_an_sd_without_a_unit_has_that_of_the_amplitude_beside_it(tmp_path):
    rows = "".join(f"{f},{k},0.05,0.005\n" for f in (10, 20) for k in (1, 2, 3, 4))
    assert read(tmp_path, "train,pulse,amplitude [nA],sd\n" + rows).sd == [5] * 8
    rows = rows.replace("0.05,", "0.05 nA,")
    assert read(tmp_path, "train,pulse,amplitude,sd\n" + rows).sd == [5] * 8


def test_relative_amplitudes_keep_a_unit_of_their_own_beside_a_free_scale(tmp_path):
    rows = "".join(f"{f},{k},0.5,0.1\n" for f in (10, 20) for k in (1, 2, 3, 4))
    term = read(tmp_path, "train,pulse,amplitude [a.u.],sd\n" + rows, scale="free")
    assert (term.target, term.sd, term.unit) == ([0.5] * 8, [0.1] * 8, None)
    term = read(tmp_path, "train,pulse,amplitude [uV],sd [mV]\n" + rows, scale="free")
    assert (term.target, term.sd, term.unit) == ([0.5] * 8, [100] * 8, "uV")


HEAD = "train,pulse,amplitude [pA],sd\n"
ROWS = "".join(f"{f},{k},50,5\n" for f in (10, 20) for k in (1, 2, 3, 4))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEAD + ROWS + "10,2,60,5\n", ["table.csv:10", "pulse 2 of train 10", "line 3"]),
        ("train;pulse;amplitude;sd\n10;1;12,5;1.5\n",
         ["table.csv:2", "column amplitude", "12,5 has a decimal comma and 1.5 a decimal point",
          "'12,5'"]),
        ("train;pulse;amplitude\n10;1;1,500\n10;2;12,250\n",
         ["table.csv:2", "column amplitude", "1,500 is 1.500 or 1500"]),
        ("train,pulse,amplitude\n10,1,\"1,234.5\"\n10,2,\"12,5\"\n",
         ["table.csv:3", "12,5 has a decimal comma and 1,234.5 a decimal point"]),
        (HEAD + "10,1,12,5,5\n", ["table.csv:2", "4 cells", "decimal comma"]),
        ("train,pulse,amplitude [mV]\n10,1,5\n", ["table.csv:2", "column amplitude",
                                                  "another dimension"]),
        ("train,a1 [pA],a2\n10,1,2\n", ["table.csv:1", "every column of an amplitude"]),
        ("train,pulse,amplitude [a.u.]\n10,1,5\n", ["column amplitude", "scale: free"]),
        ("train,a1,a2,a3,a4\n10,1,2,3,4\n20,1,2,3,4\n10,5,6,7,8\n", ["table.csv:4", "line 2"]),
        (HEAD + "10,1,fast,5\n", ["table.csv:2", "column amplitude", "'fast'"]),
        (HEAD + "10,1,50,0\n", ["table.csv:2", "column sd", "above 0"]),
        (HEAD + "10,1,50,\n", ["table.csv:2", "column sd", "missing"]),
        (HEAD + "10,1.5,50,5\n", ["table.csv:2", "column pulse", "1, 2, 3"]),
        (HEAD + ROWS + "10,5,50,5\n", ["line 10", "pulse 5", "4 pulses"]),
        ("train,pulse,amplitude,std_dev\n" + ROWS, ["table.csv:1", "std_dev", "ignore: [std_dev]"]),
        ("train,pulse,amplitude,sd,SD\n", ["table.csv:1", "two columns say the sd"]),
        ("train,amplitude\n10,5\n", ["table.csv:1", "which pulse"]),
        ("train,pulse\n10,1\n", ["table.csv:1", "'amplitude'"]),
        (HEAD + "10,1,50,5\n", ["no train of 20 Hz", "it has 10"]),
        (HEAD + "10,1,,\n20,1,NA,\n", ["all are gaps"]),
        ("", ["is empty"]),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_table_is_told_with_file_line_and_column(tmp_path, text, words):
    said = told(tmp_path, text)
    for word in ["objective.terms.a.target", *words]:
        assert word in said


def test_every_problem_of_a_table_is_told_at_once(tmp_path):
    problems = check(with_table(tmp_path, HEAD + "10,1,x,5\n10,0,5,5\n10,2,5,-1\n"))
    assert len(problems) == 3


def test_a_missing_file_and_an_unknown_source_name_the_nearest(tmp_path):
    (tmp_path / "amplitudes.csv").write_text(LONG)
    made = with_table(tmp_path, LONG).changed(
        {"objective.terms.a.target.file": str(tmp_path / "amplitude.csv")}
    )
    assert "'amplitudes.csv'" in str(check(made)[0])
    with pytest.raises(SpecError, match="Did you mean 'table'"):
        made.changed({"objective.terms.a.target": {"source": "tabel", "file": "x.csv"}})


# -- gaps ----------------------------------------------------------------------------------------


def fit_of(target, **term):
    term = {"metric": "amplitudes", "protocol": "stp", "target": target, **term}
    protocol = {"kind": "train", "frequency": 20, "n_induction": 4, "n_recovery": 0}
    return stpspec.fit(experiment(protocols={"stp": protocol}, objective={"terms": {"a": term}}))


def test_a_gap_counts_neither_in_the_loss_nor_in_the_degrees_of_freedom():
    gapped = fit_of([30, 20, None, 14], sd=[1, 1, None, 1])
    other = fit_of([30, 20, 999, 14], sd=[1, 1, 1e9, 1])
    assert gapped.misses["a"].n_data == 3
    assert gapped.parameters["U"] == pytest.approx(other.parameters["U"], rel=1e-4)
    assert gapped.loss == pytest.approx(other.loss * 4 / 3, rel=1e-4)  # a mean over 3, not 4
    assert gapped.errors["U"] == pytest.approx(other.errors["U"], rel=1e-3)
    assert "3 values (1 gap)" in str(gapped)


def test_a_gap_without_an_sd_leaves_the_variance_to_the_data_that_are_there():
    gapped = fit_of([30, 20, None, 14])
    assert gapped.degrees_of_freedom["U"] == 2  # 3 data, 1 parameter


def test_the_first_amplitude_of_ratios_cannot_be_a_gap():
    with pytest.raises(SpecError, match="need the first, which is a gap"):
        fit_of([None, 0.9, 0.8, 0.7], options={"normalizer": "first"})
    with pytest.raises(SpecError, match="all of this one are gaps"):
        fit_of([None, None, None, None])


def test_figures_and_summary_leave_gaps_out(tmp_path):
    result = fit_of([30, 20, None, 14], sd=1)
    folder = result.save(tmp_path / "r")
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["metrics"]["a"]["target"] == [30, 20, None, 14]
    again = stpspec.FitResult.load(folder)
    assert str(again) == str(result)
    rows = (folder / "amplitudes.csv").read_text().splitlines()
    data = [r for r in rows if ",data," in r]
    assert len(data) in (3, 4)
    assert not any(math.isfinite(float(r.split(",")[-2] or "nan")) for r in data if ",3," in r)


# -- a result runs again -------------------------------------------------------------------------


def test_a_result_keeps_its_table_and_runs_again_without_the_original(tmp_path):
    first = stpspec.fit(with_table(tmp_path, LONG))
    folder = first.save(tmp_path / "r", figures=False)
    assert (folder / "data" / "table.csv").read_text() == LONG
    assert "file: table.csv" in (folder / "experiment.yaml").read_text()
    (tmp_path / "table.csv").unlink()
    again = stpspec.fit(stpspec.load(folder))
    assert again.parameters == pytest.approx(first.parameters)
    assert again.sources["data/table.csv"] == first.sources["data/table.csv"]
    (folder / "data" / "table.csv").write_text(LONG.replace("0.10", "0.20"))
    with pytest.raises(stpspec.StpspecError, match="was changed"):
        stpspec.load(folder)


def test_a_table_is_found_beside_the_experiment_from_any_folder(tmp_path, monkeypatch):
    (tmp_path / "table.csv").write_text(LONG)
    (tmp_path / "e.yaml").write_text(
        "defaults: [{override /model: tm_patch}, _self_]\nname: t\n"
        "protocols: {stp: {kind: trains, frequencies: [10, 20], recovery_delays: 200,\n"
        "  n_induction: 3, n_recovery: 1}}\nparameters: {U: {min: 0.1, max: 0.9}}\n"
        "objective:\n  terms:\n    a:\n      metric: amplitudes\n      protocol: stp\n"
        "      target: {source: table, file: table.csv}\n"
    )
    monkeypatch.chdir("/")
    assert check(stpspec.load(tmp_path / "e.yaml")) == []


def test_a_changed_table_is_another_experiment(tmp_path):
    from stpspec.engine.binding.source_files import named_sources

    made = with_table(tmp_path, LONG)
    before = named_sources(made).placeless(made.to_data())
    (tmp_path / "moved").mkdir()
    moved = with_table(tmp_path / "moved", LONG)
    assert named_sources(moved).placeless(moved.to_data()) == before
    (tmp_path / "table.csv").write_text(LONG + "\n")
    assert named_sources(made).placeless(made.to_data()) != before


# -- trains --------------------------------------------------------------------------------------


def test_the_trains_of_one_protocol_are_the_trains_that_stand_alone():
    alone = {
        f"f{f}": {"kind": "train", "frequency": f, "n_induction": 3, "n_recovery": 1,
                  "recovery_delay": 200}
        for f in (10, 20)
    }  # fmt: skip
    made = experiment(protocols={"stp": trains(), **alone}, objective=None)
    tree = stpspec.simulate(made, {"U": [0.3, 0.6]})
    assert list(tree.children) == ["stp.10Hz", "stp.20Hz", "f10", "f20"]
    for one, other in (("stp.10Hz", "f10"), ("stp.20Hz", "f20")):
        np.testing.assert_array_equal(tree[one].synaptic_current, tree[other].synaptic_current)


def test_a_vector_metric_has_all_trains_and_a_number_names_one(tmp_path):
    terms = {
        "all": {"metric": "amplitudes", "protocol": "stp", "target": [1.0] * 8},
        "one": {"metric": "amplitudes", "protocol": "stp.20Hz", "target": [1.0] * 4},
        "ppr": {"metric": "paired_pulse_ratio", "protocol": "stp.20Hz", "target": 1.0},
    }
    made = experiment(protocols={"stp": trains()}, objective={"terms": terms})
    measured = stpspec.measure(made, stpspec.simulate(made, {"U": 0.5}))
    np.testing.assert_array_equal(measured["all"][0, 4:], measured["one"][0])
    assert float(measured["ppr"][0]) == pytest.approx(
        float(measured["one"][0, 1] / measured["one"][0, 0])
    )
    terms["ppr"]["protocol"] = "stp"
    with pytest.raises(SpecError, match=r"name one of them \(stp.10Hz, stp.20Hz\)"):
        experiment(protocols={"stp": trains()}, objective={"terms": terms})


def test_only_the_trains_that_are_read_are_simulated_by_a_fit():
    terms = {"ppr": {"metric": "paired_pulse_ratio", "protocol": "stp.20Hz", "target": 0.7}}
    made = experiment(protocols={"stp": trains()}, objective={"terms": terms})
    result = stpspec.fit(made)
    assert list(result.traces.children) == ["stp.10Hz", "stp.20Hz"]
    assert result.metrics["ppr"] == pytest.approx(0.7, abs=1e-4)


def test_delays_and_pulse_numbers_are_one_for_all_or_one_for_each():
    many = trains(frequencies=[50, 50, 20], recovery_delays=[125, 250, 250], n_recovery=[1, 1, 2])
    made = experiment(protocols={"stp": many}, objective=None)
    tree = stpspec.simulate(made, {"U": 0.5})
    assert list(tree.children) == ["stp.50Hz_125ms", "stp.50Hz_250ms", "stp.20Hz_250ms"]
    assert [c.sizes["pulse"] for c in tree.children.values()] == [4, 4, 5]
    with pytest.raises(SpecError, match="one for each of 3"):
        experiment(protocols={"stp": trains(frequencies=[1, 2, 3], recovery_delays=[1, 2])})
    with pytest.raises(SpecError, match="two trains are the same"):
        experiment(protocols={"stp": trains(frequencies=[20, 20])}, objective=None)


# -- a free scale --------------------------------------------------------------------------------


def relative(scale="free", factor=0.02, **term):
    """Return an experiment on amplitudes of known U in mV, with one scale for two trains."""
    spikes = {f: [1000 / f * k for k in range(6)] for f in (10, 40)}
    terms, protocols = {}, {}
    for f, times in spikes.items():
        protocols[f"f{f}"] = {"kind": "spike_times", "times": times}
        values = factor * np.ravel(event_map(0.4, 300.0, 40.0, times))
        target = [f"{v:.9f} mV" for v in values]
        terms[f"a{f}"] = {"metric": "amplitudes", "protocol": f"f{f}", "target": target,
                          "sd": f"{0.02 * factor} mV", "scale": scale, **term}  # fmt: skip
    parameters = {"U": {"min": 0.05, "max": 0.95}, "tau_rec": {"min": 10, "max": 2000}}
    fixed = {"tau_facil": "40 ms", "tau_decay": "2 ms"}
    return experiment(protocols=protocols, objective={"terms": terms}, parameters=parameters,
                      model__fixed=fixed)  # fmt: skip


def test_a_scale_is_found_beside_the_parameters_and_does_not_disturb_them():
    small, large = (stpspec.fit(relative(factor=f)) for f in (0.02, 20.0))
    for result in (small, large):
        assert result.parameters["U"] == pytest.approx(0.4, rel=2e-3)
        assert result.parameters["tau_rec"] == pytest.approx(300, rel=2e-3)
        assert result.scales["free"]["unit"] == "mV/pA"
        assert "scale free" in str(result)
    assert large.scales["free"]["value"] == pytest.approx(
        1e3 * small.scales["free"]["value"], rel=1e-4
    )
    assert large.errors["U"] == pytest.approx(small.errors["U"], rel=1e-3)


def test_the_error_of_a_scale_and_of_a_weight_that_stands_for_it_agree():
    free = stpspec.fit(relative())
    made = relative(scale=None)
    terms = {n: {**t.model_dump(), "unit": None, "sd": 0.02 * 0.02 * 1e3,
                 "target": [1e3 * float(v.split()[0]) for v in t.target]}
             for n, t in made.objective.terms.items()}  # fmt: skip
    parameters = {
        **made.to_data()["parameters"],
        "weight": {"min": 0.01, "max": 10, "scale": "log"},
    }
    weighted = stpspec.fit(made.changed({"objective.terms": terms, "parameters": parameters}))
    of_scale = free.scales["free"]["standard_error"] / free.scales["free"]["value"]
    assert of_scale == pytest.approx(
        weighted.errors["weight"] / weighted.parameters["weight"], rel=0.02
    )
    assert free.errors["U"] == pytest.approx(weighted.errors["U"], rel=0.02)


def test_where_all_is_in_the_scale_no_parameter_is_determined():
    term = {"metric": "amplitudes", "protocol": "one", "target": [0.3], "sd": 0.01, "scale": "free"}
    made = experiment(protocols={"one": {"kind": "spike_times", "times": [0]}},
                      objective={"terms": {"a": term}})  # fmt: skip
    result = stpspec.fit(made)
    assert "scale free" in result.undetermined["U"]
    assert "U" in result.scales["free"]["undetermined"]


@pytest.mark.parametrize(
    ("term", "words"),
    [
        ({"loss": "absolute"}, "with the loss 'squared'"),
        ({"options": {"normalizer": "first"}}, "no unit here"),
        ({"scale": "tau_rec"}, "the name of a parameter"),
    ],
)
def test_a_scale_is_refused_where_it_has_no_meaning(term, words):
    with pytest.raises(SpecError, match=words):
        bind(relative(**term))


def test_the_targets_of_one_scale_have_one_unit():
    made = relative()
    with pytest.raises(SpecError, match="in one unit, and here in mV and none"):
        bind(made.changed({"objective.terms.a40.target": [1.0] * 6, "objective.terms.a40.sd": 0.1}))


def test_a_saved_fit_shows_its_scale_again(tmp_path):
    result = stpspec.fit(relative())
    again = stpspec.FitResult.load(result.save(tmp_path / "r"))
    assert (again.scales, str(again)) == (result.scales, str(result))
    assert (tmp_path / "r" / "amplitudes.png").is_file()


# -- other sources -------------------------------------------------------------------------------


def test_a_plug_in_is_a_source_of_targets():
    from stpspec.plugins import TargetData, TargetSource, target_source
    from stpspec.registry import TARGET_SOURCES

    @target_source("halves")
    class Halves(TargetSource):
        source: str = "halves"
        first: float = 100.0

        def read(self, wanted):
            pulses = [len(s.spikes) for s in wanted.stimuli.values()]
            return TargetData([self.first / 2**k for n in pulses for k in range(n)], unit="pA")

    try:
        term = {"metric": "amplitudes", "protocol": "stp", "target": {"source": "halves"}}
        made = experiment(protocols={"stp": trains()}, objective={"terms": {"a": term}})
        assert bind(made).experiment.objective.terms["a"].target == [100, 50, 25, 12.5] * 2
    finally:
        TARGET_SOURCES._things.pop("halves")


@pytest.mark.long
def test_run_and_sweep_keep_the_table_and_run_again(tmp_path):
    from small import cli

    with_table(tmp_path, LONG)
    (tmp_path / "e.yaml").write_text(
        "defaults: [{override /model: tm_patch}, _self_]\nname: t\n"
        "protocols: {stp: {kind: trains, frequencies: [10, 20], recovery_delays: 200,\n"
        "  n_induction: 3, n_recovery: 1}}\nparameters: {U: {min: 0.1, max: 0.9}}\n"
        "objective: {terms: {a: {metric: amplitudes, protocol: stp,\n"
        "  target: {source: table, file: table.csv}}}}\n"
    )
    for verb, words in {"run": ["U=0.4"], "sweep": ["U=0.2,0.5"]}.items():
        done = cli(verb, "e.yaml", *words, "--out", verb, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert (tmp_path / verb / "data" / "table.csv").read_text() == LONG
    (tmp_path / "table.csv").unlink()
    done = cli("run", "run", "--out", "again", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
