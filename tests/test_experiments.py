"""Each shipped experiment gives the answer that its README states."""

import json

import pytest

import stpspec
from stpspec.resources import shipped

SLUGS = sorted(p.parent.name for p in shipped("experiments").glob("*/experiment.yaml"))


EXPECTED = {
    slug: json.loads((shipped("experiments") / slug / "expected.json").read_text())
    for slug in SLUGS
}


@pytest.mark.parametrize("slug", [s for s in SLUGS if "sweep" not in EXPECTED[s]])
def test_a_shipped_fit_gives_its_expected_answer(slug):
    expected = EXPECTED[slug]
    result = stpspec.fit(stpspec.load(slug))
    tolerance = expected["relative_tolerance"]
    assert result.parameters == pytest.approx(expected["parameters"], rel=tolerance)
    for name, value in expected["metrics"].items():
        assert result.metrics[name] == pytest.approx(value, rel=tolerance, abs=1e-5)
    assert result.loss < expected["loss_below"]


@pytest.mark.parametrize("slug", [s for s in SLUGS if "sweep" in EXPECTED[s]])
def test_a_shipped_sweep_gives_its_expected_answer(slug):
    expected = EXPECTED[slug]
    swept = stpspec.sweep(stpspec.load(slug), expected["sweep"])
    assert expected["metrics"]
    for name, values in expected["metrics"].items():
        assert swept[name].values == pytest.approx(
            values, rel=expected["relative_tolerance"], abs=2e-6
        )


@pytest.mark.parametrize("slug", SLUGS)
def test_a_shipped_experiment_names_its_question_source_and_answer(slug):
    text = (shipped("experiments") / slug / "README.md").read_text()
    for word in ("**Question.**", "**Source.**", "**Answer.**", "doi"):
        assert word in text
    assert stpspec.load(slug).source


@pytest.mark.parametrize("slug", SLUGS)
def test_a_shipped_experiment_passes_its_check(slug):
    assert stpspec.check(stpspec.load(slug)) == []


@pytest.mark.parametrize(
    ("tau_facil", "utilization", "tau_rec", "ratio"),
    [(1e-3, 0.1727, 280.9, 0.839), (100.0, 0.2317, 193.0, 1.289)],
)
def test_allens_induction_and_recovery_fit_with_any_facilitation(
    tau_facil, utilization, tau_rec, ratio
):
    """The README says that F is not determined: both ends of its range hit both targets."""
    experiment = stpspec.load("pvalb_pyr")
    values = {"U": utilization, "tau_rec": tau_rec, "tau_facil": tau_facil, "tau_decay": 6.0}
    tree = stpspec.simulate(experiment, values, protocols=["train"])
    measured = stpspec.measure(experiment, tree, all_metrics=True)
    assert float(measured["induction"][0]) == pytest.approx(-0.523635, abs=1e-3)
    assert float(measured["recovery"][0]) == pytest.approx(-0.174422, abs=1e-3)
    assert float(measured["train.paired_pulse_ratio"][0]) == pytest.approx(ratio, abs=2e-3)
