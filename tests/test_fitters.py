"""Fitters: on problems whose answer is known, and on NEURON."""

import functools
import itertools

import numpy as np
import pytest
from helpers import MOD, synapse
from small import data, evaluator, experiment, terms

from stpspec import api
from stpspec.engine.binding.bind import bind
from stpspec.errors import FitError, MetricError, SpecError
from stpspec.fitters.confirm import sound
from stpspec.fitters.outcome import search
from stpspec.fitters.problem import Problem
from stpspec.fitters.starts import starts
from stpspec.fitters.uncertainty import estimate
from stpspec.metrics.judge import Judge
from stpspec.metrics.measure import Measurement
from stpspec.registry import FITTERS, LOSSES
from stpspec.specs.diagnosis import examine
from stpspec.specs.experiment import Experiment

BOUNDS = {"U": {"min": 0.1, "max": 0.9}, "tau_rec": {"min": 10, "max": 1000, "scale": "log"}}
TRUE = {"U": 0.37, "tau_rec": 120.0}


def curved(U, tau_rec):
    """Three values that determine both parameters, with curvature."""
    return U * np.exp(-50 / tau_rec), U**2, np.log(tau_rec)


@functools.cache
def _bound(text):
    return bind(Experiment.model_validate_json(text))


def problem(function=curved, *, targets=None, fitter=None, parameters=BOUNDS, **more):
    """Return the problem of fitting made-up values to targets: by default those at TRUE."""
    targets = curved(**TRUE) if targets is None else targets
    common = {"sd": 0.1} | {k: more.pop(k) for k in ("sd", "loss", "weight") if k in more}
    made = experiment(
        parameters=parameters,
        objective={"terms": terms(*targets, **{k: v for k, v in common.items() if v is not None})},
        fitter=fitter or {"kind": "least_squares"},
        **more,
    )
    return Problem(_bound(made.model_dump_json()), evaluator(function))


METHODS = FITTERS.get("minimize").model_fields["method"].annotation.__args__
LOCAL = [
    *({"kind": "minimize", "method": m, "budget": {"evaluations": 3000}} for m in METHODS),
    {"kind": "least_squares"},
]
SAMPLERS = [
    {"kind": "optuna", "sampler": s, "budget": {"evaluations": n}}
    for s, n in (("tpe", 120), ("random", 120), ("qmc", 128), ("cmaes", 240))
]


def name(fitter):
    return fitter.get("method") or fitter.get("sampler") or fitter["kind"]


# -- they find what is known ------------------------------------------------------------------


@pytest.mark.parametrize("fitter", LOCAL, ids=name)
def test_a_local_fitter_recovers_the_parameters_that_made_the_targets(fitter):
    p = problem(fitter=fitter)
    outcome = search(p)
    assert outcome.status == "converged", outcome
    assert outcome.message
    assert p.best.values == pytest.approx(TRUE, rel=2e-3)
    assert p.best.loss < 1e-4


@pytest.mark.parametrize("fitter", LOCAL, ids=name)
def test_a_local_fitter_does_as_well_whatever_the_scale_of_the_loss(fitter):
    for sd in (1e-4, 1e3):
        p = problem(fitter=fitter, sd=sd)
        assert search(p).status == "converged"
        assert p.best.loss < 1e-4 * p.history[0].loss
        assert p.best.values == pytest.approx(TRUE, rel=1e-2)


@pytest.mark.parametrize("fitter", SAMPLERS, ids=name)
def test_a_sampler_comes_near_and_uses_exactly_its_budget(fitter):
    p = problem(fitter=fitter)
    outcome = search(p)
    assert outcome.status == "budget"
    assert len(p.history) == fitter["budget"]["evaluations"]
    start = p.history[0].loss
    assert p.best.loss < 0.7 * start


def test_tpe_and_cmaes_do_better_than_chance():
    def median(sampler):
        losses = []
        for seed in range(5):
            fitter = {"kind": "optuna", "sampler": sampler, "budget": {"evaluations": 120}}
            p = problem(fitter=fitter, seed=seed)
            search(p)
            losses.append(p.best.loss)
        return np.median(losses)

    chance = median("random")
    assert median("tpe") < chance
    assert median("cmaes") < chance


@pytest.mark.parametrize("start", [0.15, 0.5, 0.85])
def test_bounded_recovers_one_parameter_from_anywhere(start):
    p = problem(
        lambda U: (U**2,), targets=[0.37**2], fitter={"kind": "bounded"},
        parameters={"U": {"min": 0.1, "max": 0.9, "start": start}},
    )  # fmt: skip
    assert search(p).status == "converged"
    assert p.history[0].values["U"] == pytest.approx(start)
    assert p.best.values["U"] == pytest.approx(0.37, rel=1e-5)


def test_least_squares_needs_the_fewest_simulations():
    counts = {}
    for fitter in LOCAL:
        p = problem(fitter=fitter)
        search(p)
        counts[name(fitter)] = len(p.history)
    assert counts["least_squares"] == min(counts.values())
    assert counts["least_squares"] < 40


def test_every_registered_fitter_is_among_those_tested():
    tested = {f["kind"] for f in (*LOCAL, *SAMPLERS)} | {"bounded"}
    own = {n for n in FITTERS.names() if FITTERS.get(n).__module__.startswith("stpspec.")}
    assert own == tested
    samplers = FITTERS.get("optuna").model_fields["sampler"].annotation.__args__
    assert {f["sampler"] for f in SAMPLERS} == set(samplers)


# -- NEURON -----------------------------------------------------------------------------------

TRAIN = {"kind": "train", "frequency": 50, "n_induction": 4, "n_recovery": 1,
         "recovery_delay": "100 ms"}  # fmt: skip
ON_NEURON = [
    *({"kind": "minimize", "method": m} for m in ("SLSQP", "L-BFGS-B", "Nelder-Mead", "COBYQA")),
    {"kind": "least_squares"},
    {"kind": "optuna", "sampler": "tpe", "budget": {"evaluations": 60}},
    {"kind": "optuna", "sampler": "cmaes", "budget": {"evaluations": 60}},
]


@functools.cache
def _targets():
    made = experiment(protocols={"train": TRAIN}, objective=None, model__fixed={"tau_facil": 0})
    values = api.measure(made, api.simulate(made, {"U": 0.4, "tau_rec": 150.0}))
    names = ("paired_pulse_ratio", "recovery_single")
    return {n: float(values[f"train.{n}"][0]) for n in names}


@pytest.mark.parametrize("fitter", ON_NEURON, ids=name)
def test_parameters_of_a_real_synapse_are_recovered_from_its_own_metrics(fitter):
    made = experiment(
        protocols={"train": TRAIN},
        parameters={"U": {"min": 0.1, "max": 0.9}, "tau_rec": {"min": 20, "max": 600}},
        model__fixed={"tau_facil": 0},
        objective={"terms": {
            n: {"metric": n, "protocol": "train", "target": t, "sd": 0.01}
            for n, t in _targets().items()
        }},
        fitter=fitter,
    )  # fmt: skip
    result = api.fit(made)
    if fitter["kind"] == "optuna":
        assert result.n_evaluations == 60
        assert result.loss < 0.2 * result.loss_start
        return
    assert result.status == "converged", result
    assert result.parameters["U"] == pytest.approx(0.4, rel=5e-3)
    assert result.parameters["tau_rec"] == pytest.approx(150.0, rel=5e-3)
    assert result.loss < 1e-3


def test_bounded_recovers_a_real_parameter():
    result = api.fit(experiment(fitter={"kind": "bounded"}, numerics__integrator="fixed"))
    assert result.metrics["size"] == pytest.approx(42.0, rel=1e-6)
    assert result.loss <= min(float(x) for x in result.history["loss"])


def test_the_same_seed_gives_the_same_history_on_neuron_too():
    made = experiment(fitter={"kind": "optuna", "budget": {"evaluations": 20}}, seed=5)
    one, two = api.fit(made), api.fit(made)
    names = ["parameter_U", "loss", "metric_size"]
    assert all(np.array_equal(one.history[n], two.history[n]) for n in names)
    other = api.fit(made.copy_with(seed=6))
    assert not np.array_equal(one.history["parameter_U"], other.history["parameter_U"])


# -- starts, seeds, batches -------------------------------------------------------------------


def test_starts_are_where_the_spec_says():
    given = {"U": {"min": 0.1, "max": 0.9, "start": 0.3}, "tau_rec": BOUNDS["tau_rec"]}
    first = starts(problem(parameters=given)).points
    assert first == pytest.approx(np.array([[0.25, 0.5]]))
    middle = problem(parameters=given, fitter={"kind": "minimize", "start": "middle"})
    assert np.array_equal(starts(middle).points, [[0.5, 0.5]])
    assert middle.values_at([0.5, 0.5]) == pytest.approx({"U": 0.5, "tau_rec": 100.0})


@pytest.mark.parametrize("start", ["random", "sobol"])
@pytest.mark.parametrize("n", [1, 3, 8])
def test_random_and_sobol_starts_are_seeded_and_as_many_as_asked(start, n):
    fitter = {"kind": "minimize", "start": start, "n_starts": n}
    one, two, other = (starts(problem(fitter=fitter, seed=s)).points for s in (1, 1, 2))
    assert one.shape == (n, 2)
    assert ((one >= 0) & (one < 1)).all()
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)


def test_sobol_starts_cover_each_parameter_evenly():
    points = starts(problem(fitter={"kind": "minimize", "start": "sobol", "n_starts": 8})).points
    for column in points.T:
        assert sorted((column * 8).astype(int)) == list(range(8))


@pytest.mark.parametrize(
    "fitter",
    [*LOCAL[:1], *LOCAL[-1:], *SAMPLERS, {"kind": "minimize", "start": "sobol", "n_starts": 4}],
    ids=name,
)
def test_the_same_seed_gives_the_same_history_and_best_point(fitter):
    histories = []
    for _ in range(2):
        p = problem(fitter=fitter, seed=3)
        search(p)
        histories.append([(*e.point, e.loss, e.start) for e in p.history])
    assert histories[0] == histories[1]


def test_many_starts_find_the_deeper_of_two_valleys():
    def two_valleys(U):
        return (np.cos(12 * U) + 0.5 * U,)

    fitter = {"kind": "minimize", "method": "L-BFGS-B", "start": "given"}
    parameters = {"U": {"min": 0.0, "max": 1.0, "start": 0.7}}
    more = {"targets": [-1.2], "parameters": parameters}
    alone = problem(two_valleys, fitter=fitter, **more)
    search(alone)
    many = problem(two_valleys, fitter=fitter | {"start": "sobol", "n_starts": 8}, **more)
    outcome = search(many)
    assert alone.best.values["U"] > 0.6
    assert many.best.values["U"] < 0.4
    assert "8 starts" in outcome.message
    assert {e.start for e in many.history} == set(range(8))


def test_a_point_and_its_steps_go_out_as_one_batch():
    sizes = []
    for fitter in ({"kind": "least_squares"}, {"kind": "optuna", "batch": 7,
                   "budget": {"evaluations": 21}}):  # fmt: skip
        p = problem(fitter=fitter)
        before = []
        p.observe = lambda q, before=before: before.append(len(q.history))
        search(p)
        sizes.append({b - a for a, b in itertools.pairwise([0, *before])})
    assert sizes[0] <= {1, 2, 3}
    assert sizes[1] == {7}


# -- budgets ----------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 7, 15])
@pytest.mark.parametrize(
    "fitter", [*LOCAL, *SAMPLERS, {"kind": "minimize", "start": "sobol", "n_starts": 9}], ids=name
)
def test_a_budget_of_evaluations_is_never_exceeded(fitter, n):
    p = problem(fitter=fitter | {"budget": {"evaluations": n}})
    outcome = search(p)
    assert len(p.history) == n
    assert outcome.status == "budget"
    assert f"{n} evaluations" in outcome.message
    assert p.best in p.history


@pytest.mark.parametrize("n", [1, 2, 4])
def test_a_budget_of_evaluations_holds_for_one_parameter_too(n):
    fitter = {"kind": "bounded", "budget": {"evaluations": n}}
    p = problem(lambda U: (U,), targets=[0.3], parameters={"U": BOUNDS["U"]}, fitter=fitter)
    assert search(p).status == "budget"
    assert len(p.history) == n


def test_a_budget_of_seconds_ends_a_search_that_never_ends():
    fitter = {"kind": "optuna", "sampler": "random",
              "budget": {"evaluations": None, "seconds": "200 ms"}}  # fmt: skip
    p = problem(fitter=fitter)
    outcome = search(p)
    assert outcome.status == "budget"
    assert "0.2 s" in outcome.message
    assert p.history[0].seconds < 0.2
    assert p.history[-1 - fitter.get("batch", 8)].seconds <= 0.2


def test_ctrl_c_keeps_the_best_point_so_far():
    calls = itertools.count()

    def interrupted(U, tau_rec):
        if next(calls) == 12:
            raise KeyboardInterrupt
        return curved(U, tau_rec)

    p = problem(interrupted)
    assert search(p).status == "interrupted"
    assert p.best.loss <= p.history[0].loss


# -- the best point, and failures -------------------------------------------------------------


def test_the_best_point_seen_is_returned_and_not_the_last():
    fitter = {"kind": "optuna", "sampler": "random", "budget": {"evaluations": 50}}
    p = problem(fitter=fitter)
    search(p)
    losses = [e.loss for e in p.history]
    assert p.best is p.history[int(np.argmin(losses))]
    assert p.best is not p.history[-1]
    result = api.fit(experiment(fitter=fitter))
    index = int(result.history["loss"].values.argmin())
    assert result.parameters["U"] == float(result.history["parameter_U"][index])


def fragile(U, tau_rec):
    """Fail in a part of the space that touches the way to the optimum."""
    if U > 0.55:
        return f"no response at U = {U:.3f}"
    return curved(U, tau_rec)


@pytest.mark.parametrize("fitter", [*LOCAL, *SAMPLERS], ids=name)
def test_a_failing_evaluation_is_kept_with_its_reason_and_never_as_a_number(fitter):
    given = {"U": BOUNDS["U"] | {"start": 0.5}, "tau_rec": BOUNDS["tau_rec"] | {"start": 300}}
    p = problem(fragile, fitter=fitter, parameters=given)
    search(p)
    for e in p.history:
        assert e.failed == (e.values["U"] > 0.55)
        assert e.failed == bool(np.isnan(e.loss))
        assert e.failed == (e.residuals is None)
        assert not e.failed or "no response at U" in e.reason
    assert not p.best.failed
    assert p.best.values["U"] <= 0.55
    if fitter["kind"] != "optuna":
        assert p.best.loss < 0.05 * p.history[0].loss


def test_what_the_fitter_sees_of_a_failure_is_the_stated_penalty():
    p = problem(fragile, fitter={"kind": "least_squares", "penalty": 123.0})
    assert p.losses(np.array([[1.0, 0.5]])) == [123.0]
    residuals = p.residuals_of(p.history[0])
    assert residuals @ residuals == pytest.approx(123.0)


def test_on_failure_raise_ends_the_fit_with_the_point_and_the_reason():
    p = problem(fragile, fitter={"kind": "minimize", "method": "Powell", "on_failure": "raise"})
    with pytest.raises(FitError, match=r"U=0\.\d+, tau_rec=\d+.*: no response at U"):
        search(p)
    assert p.history[-1].failed


def test_a_fit_of_which_every_evaluation_fails_is_an_error_with_the_reasons():
    fitter = {"kind": "optuna", "sampler": "random", "budget": {"evaluations": 8}}
    p = problem(lambda U, tau_rec: "it broke", fitter=fitter)
    search(p)
    with pytest.raises(FitError, match="every one of 8 evaluations failed: it broke"):
        _ = p.best


@pytest.mark.parametrize("fitter", [*LOCAL, *SAMPLERS], ids=name)
def test_a_fitter_ends_when_every_evaluation_fails(fitter):
    p = problem(lambda U, tau_rec: "it broke", fitter=fitter | {"budget": {"evaluations": 30}})
    with pytest.raises(FitError, match="evaluations failed: it broke"):
        assert search(p).status == p.best.reason
    assert len(p.history) <= 30
    assert all(e.failed for e in p.history)


def test_the_failures_of_a_real_fit_are_in_the_history_of_its_result():
    # A response that decays in 40 ms does not fall far enough in the 20 ms that are recorded.
    made = experiment(
        protocols={"single": {"kind": "train", "n_induction": 2, "n_recovery": 0}},
        parameters={"U": {"min": 0.1, "max": 0.9}, "tau_decay": {"min": "1 ms", "max": "40 ms"}},
        objective__terms={
            "size": {"metric": "amplitude", "protocol": "single", "target": 42.0, "sd": 1},
            "decay": {"metric": "decay_time", "protocol": "single", "target": 3.0, "sd": 1},
        },
        fitter={"kind": "optuna", "sampler": "random", "budget": {"evaluations": 12}},
    )  # fmt: skip
    result = api.fit(made)
    failed = (result.history["reason"] != "").values
    assert 0 < failed.sum() < 12
    assert np.isnan(result.history["loss"].values[failed]).all()
    assert np.isfinite(result.history["loss"].values[~failed]).all()
    assert f"({failed.sum()} failed)" in str(result)


# -- bounds and standard errors ---------------------------------------------------------------


def test_an_optimum_at_a_bound_is_marked_and_has_no_standard_error():
    p = problem(lambda U, tau_rec: (U, np.log(tau_rec)), targets=[2.0, np.log(120.0)])
    search(p)
    found = estimate(p, p.best)
    assert found.at_bound == {"U": "max"}
    assert found.undetermined == {"U": "at its max"}
    assert set(found.errors) == {"tau_rec"}
    assert p.best.values["U"] == pytest.approx(0.9)


DESIGN = np.array([[1.0, 0.5], [0.3, -1.0], [0.8, 0.9], [-0.4, 0.2]])
LINEAR = {"U": {"min": 0.0, "max": 1.0}, "tau_rec": {"min": 1.0, "max": 3.0}}


def linear(U, tau_rec):
    """Values that are linear in both parameters."""
    return tuple(DESIGN @ [U, tau_rec])


def test_standard_errors_are_those_of_the_covariance_of_a_linear_problem():
    sd = np.array([0.1, 0.2, 0.05, 0.4])
    p = problem(linear, targets=linear(0.4, 1.7), parameters=LINEAR)
    made = p.bound.experiment.to_data()
    for i, s in enumerate(sd):
        made["objective"]["terms"][f"t{i}"] |= {"sd": s, "weight": 1.0}
    p = Problem(_bound(Experiment.from_data(made).model_dump_json()), evaluator(linear))
    search(p)
    scaled = DESIGN / sd[:, None]
    expected = np.sqrt(np.diag(np.linalg.inv(scaled.T @ scaled)))
    found = estimate(p, p.best)
    assert not found.undetermined
    assert list(found.errors.values()) == pytest.approx(expected, rel=1e-4)


def test_standard_errors_do_not_depend_on_a_common_weight_and_follow_unequal_ones():
    target, sd = np.array(linear(0.4, 1.7)), 0.1

    def errors(weights):
        made = problem(linear, targets=target, parameters=LINEAR).bound.experiment.to_data()
        for i, w in enumerate(weights):
            made["objective"]["terms"][f"t{i}"] |= {"sd": sd, "weight": float(w)}
        p = Problem(_bound(Experiment.from_data(made).model_dump_json()), evaluator(linear))
        search(p)
        return np.array(list(estimate(p, p.best).errors.values()))

    np.testing.assert_allclose(errors([7, 7, 7, 7]), errors([1, 1, 1, 1]), rtol=1e-4)
    weights = np.array([4.0, 1.0, 0.25, 1.0])
    scaled = DESIGN * weights[:, None]
    estimator = np.linalg.solve(DESIGN.T @ scaled, scaled.T)  # maps targets to the optimum
    np.testing.assert_allclose(errors(weights), sd * np.linalg.norm(estimator, axis=1), rtol=1e-4)


def test_standard_error_from_a_vector_of_n_values_falls_with_the_root_of_n():
    def error(n):
        term = {"metric": "amplitudes", "protocol": "single", "target": [0.4] * n, "sd": 0.1}
        made = experiment(
            parameters={"U": LINEAR["U"]}, objective={"terms": {"v": term}},
            protocols={"single": {"kind": "train", "n_induction": n, "n_recovery": 0}},
        )  # fmt: skip

        def values(candidates):
            return [{"v": Measurement(np.full(n, u), "pA")} for u in candidates.columns["U"]]

        p = Problem(_bound(made.model_dump_json()), values)
        search(p)
        return estimate(p, p.best).errors["U"]

    assert error(16) == pytest.approx(0.1 / 4, rel=1e-3)
    assert error(4) == pytest.approx(0.1 / 2, rel=1e-3)


def test_best_point_of_a_sampler_that_is_no_optimum_has_no_standard_errors():
    fitter = {"kind": "optuna", "sampler": "random", "budget": {"evaluations": 5}}
    p = problem(linear, targets=linear(0.4, 1.7), parameters=LINEAR, sd=0.001, fitter=fitter)
    search(p)
    found = estimate(p, p.best)
    assert not found.errors
    assert all("no optimum" in why for why in found.undetermined.values())


def test_local_search_leaves_a_region_where_every_evaluation_fails():
    def half(U, tau_rec):
        return (U, np.log(tau_rec)) if U > 0.6 else "no response at this U"

    start = {"U": {"min": 0.0, "max": 1.0, "start": 0.1}, "tau_rec": {"min": 1.0, "max": 3.0}}
    for fitter in ({"kind": "least_squares"}, {"kind": "minimize"}):
        p = problem(half, targets=[0.8, np.log(2.0)], parameters=start, fitter=fitter)
        outcome = search(p)
        assert p.best.values == pytest.approx({"U": 0.8, "tau_rec": 2.0}, rel=1e-3)
        assert "every start asked for failed (no response at this U)" in outcome.message


def test_number_of_starts_without_drawing_them_is_refused():
    with pytest.raises(SpecError, match="n_starts counts starts that are drawn"):
        experiment(fitter={"kind": "least_squares", "n_starts": 4})


def test_point_that_is_asked_for_again_is_not_evaluated_again():
    p = problem()
    points = np.array([[0.2, 0.3], [0.2, 0.3], [0.5, 0.5]])
    first = p.evaluate(points)
    assert len(p.history) == 2
    assert first[0] is first[1]
    assert p.evaluate(points[::-1])[0] is first[2]
    assert len(p.history) == 2


def test_bounded_search_with_several_starts_finds_the_deepest_of_many_valleys():
    one = {"U": {"min": 0.0, "max": 1.0}}

    def waves(U):
        return (2 - np.cos(40 * (U - 0.83)) + (U - 0.83) ** 2,)

    fitter = {"kind": "bounded", "start": "sobol", "n_starts": 32}
    p = problem(waves, targets=[1.0], parameters=one, fitter=fitter)
    search(p)
    assert p.best.values["U"] == pytest.approx(0.83, abs=1e-3)


def test_without_sd_the_covariance_is_scaled_by_the_residual_variance():
    noise = np.array([0.02, -0.01, 0.03, 0.01])
    targets = np.array(linear(0.4, 1.7)) + noise
    p = problem(linear, targets=targets, parameters=LINEAR, sd=None)
    search(p)
    best, rest, *_ = np.linalg.lstsq(DESIGN, targets, rcond=None)
    assert list(p.best.values.values()) == pytest.approx(best, rel=1e-6)
    expected = np.sqrt(np.diag(np.linalg.inv(DESIGN.T @ DESIGN)) * rest[0] / 2)
    assert list(estimate(p, p.best).errors.values()) == pytest.approx(expected, rel=1e-3)


def test_the_standard_error_of_a_log_parameter_is_in_its_own_unit():
    logged = {"U": LINEAR["U"], "tau_rec": {"min": 10, "max": 1000, "scale": "log"}}
    p = problem(
        lambda U, tau_rec: (U, tau_rec / 100), targets=[0.4, 1.5], parameters=logged, sd=0.01
    )
    search(p)
    assert estimate(p, p.best).errors == pytest.approx({"U": 0.01, "tau_rec": 1.0}, rel=1e-3)


def test_parameters_that_the_targets_do_not_determine_are_named_and_the_others_are_not():
    three = BOUNDS | {"tau_facil": {"min": 1, "max": 10}}
    p = problem(
        lambda U, tau_rec, tau_facil: (U, tau_rec / 100 * tau_facil), targets=[0.4, 5.0],
        parameters=three,
    )  # fmt: skip
    search(p)
    found = estimate(p, p.best)
    assert set(found.errors) == {"U"}
    assert set(found.undetermined) == {"tau_rec", "tau_facil"}
    assert all("not determined" in why for why in found.undetermined.values())


def test_a_parameter_without_any_effect_is_named():
    p = problem(lambda U, tau_rec: (U, U**2), targets=[0.4, 0.16])
    search(p)
    found = estimate(p, p.best)
    assert set(found.undetermined) == {"tau_rec"}
    assert found.errors["U"] == pytest.approx(0.1 / np.sqrt(1 + 0.8**2), rel=1e-3)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"sd": None, "targets": [0.3, 3.0]}, "no sd"),
        ({"loss": "absolute"}, "absolute"),
    ],
)
def test_where_there_are_no_standard_errors_the_reason_is_said(more, words):
    function = (lambda U, tau_rec: (U, np.log(tau_rec))) if "targets" in more else curved
    p = problem(function, fitter={"kind": "minimize", "method": "Nelder-Mead"}, **more)
    search(p)
    found = estimate(p, p.best)
    assert not found.errors
    assert all(words in why for why in found.undetermined.values())


def test_standard_errors_cost_no_evaluation_of_the_history():
    p = problem()
    search(p)
    n = len(p.history)
    estimate(p, p.best)
    assert len(p.history) == n


# -- losses and costs -------------------------------------------------------------------------


def judged(value, target, **term):
    made = {"metric": "amplitude", "protocol": "single", "target": target, **term}
    if isinstance(target, list):
        made["metric"] = "amplitudes"
    judge = Judge(experiment(objective={"terms": {"t": made}}, fitter={"kind": "minimize"}
                             ).objective)  # fmt: skip
    return judge({"t": Measurement(np.array(value, float), "1")})


@pytest.mark.parametrize("term", [{"target": 1e300}, {"target": 1.0, "sd": 1e-300}])
def test_loss_beyond_all_numbers_is_a_failure_and_no_infinity(term):
    with pytest.raises(MetricError, match="too large to be a number"):
        judged(2.0, **term)


@pytest.mark.parametrize(
    ("loss", "options", "value", "sd", "expected"),
    [
        ("squared", {}, 5.0, 1.0, 9.0),
        ("squared", {}, -1.0, 2.0, 2.25),
        ("squared", {}, 5.0, None, 9.0),
        ("absolute", {}, 5.0, 2.0, 1.5),
        ("absolute", {}, -1.0, 2.0, 1.5),
        ("relative", {}, 3.0, None, 0.25),
        ("huber", {}, 3.0, 1.0, 1.0),
        ("huber", {}, 7.0, 1.0, 2 * 1.345 * 5 - 1.345**2),
        ("huber", {"delta": 2}, -3.0, 1.0, 2 * 2 * 5 - 4),
        ("band", {}, 2.9, 1.0, 0.0),
        ("band", {}, 5.0, 1.0, 4.0),
        ("band", {"width": 2}, 5.0, 0.5, 16.0),
    ],
)
def test_each_loss_gives_its_value_and_a_residual_with_the_sign_of_the_miss(
    loss, options, value, sd, expected
):
    more = {} if sd is None else {"sd": sd}
    total, residuals = judged(value, 2.0, loss=loss, loss_options=options, **more)
    assert total == pytest.approx(expected)
    assert residuals @ residuals == pytest.approx(expected)
    assert np.sign(residuals[0]) in (0, np.sign(value - 2.0))
    assert judged(value, 2.0, loss=loss, loss_options=options, weight=3, **more)[0] == (
        pytest.approx(3 * expected)
    )


def test_every_registered_loss_is_zero_at_the_target_and_even_or_growing_beyond():
    for loss in LOSSES.names():
        assert judged(2.0, 2.0, loss=loss)[0] == 0
        for sign in (-1, 1):
            values = [judged(2.0 + sign * d, 2.0, loss=loss)[0] for d in (0.5, 1, 2, 4, 8)]
            assert values == sorted(values)
            assert values[-1] > 0


def test_a_vector_target_is_a_mean_over_its_values_and_one_residual_each():
    total, residuals = judged([1.0, 2.0, 5.0], [1.0, 4.0, 4.0], sd=[1.0, 2.0, 0.5], weight=3)
    assert total == pytest.approx(3 * (0 + 1 + 4) / 3)
    assert residuals == pytest.approx([0, -1, 2])


def test_a_vector_of_another_length_than_its_target_is_a_failure_with_both_numbers():
    with pytest.raises(MetricError, match="target has 2 values, the metric gives 3"):
        judged([1.0, 2.0, 5.0], [1.0, 4.0])


def test_amplitudes_and_a_trace_window_are_fitted_as_vectors():
    base = {
        "protocols": {"train": TRAIN | {"n_induction": 3}}, "model__fixed": {"tau_facil": 0},
        "numerics__integrator": "fixed",
    }  # fmt: skip
    made = experiment(objective=None, **base)
    truth = api.simulate(made, {"U": 0.4})
    windows = {"windows": [[0.5, 3.0]]}
    wanted = {"amplitudes": {}, "trace": windows}
    from stpspec.metrics.measure import measure_candidates
    from stpspec.metrics.requests import Request

    values = measure_candidates(truth, [Request(n, n, "train", o) for n, o in wanted.items()])[0]
    for metric, options in wanted.items():
        target = values[metric].value.tolist()
        assert len(target) > 3
        term = {"metric": metric, "protocol": "train", "target": target, "options": options}
        result = api.fit(experiment(objective={"terms": {"vector": term}}, **base))
        assert result.parameters["U"] == pytest.approx(0.4, rel=1e-5)
        assert result.metrics["vector"] == pytest.approx(np.array(target), rel=1e-6)
        assert f"{len(target)} values" in str(result)


def test_a_cost_function_of_ones_own_replaces_the_sum_of_the_terms():
    import stpspec

    @stpspec.cost("largest_miss")
    def largest_miss(metrics, targets, *, floor: float = 0.0):
        """Largest absolute miss."""
        return max(abs(metrics[n] - targets[n]) for n in targets) + floor

    made = experiment(
        parameters=BOUNDS, fitter={"kind": "minimize", "method": "Nelder-Mead"},
        objective={"terms": terms(*curved(**TRUE)), "cost": "largest_miss",
                   "cost_options": {"floor": 0.5}},
    )  # fmt: skip
    p = Problem(bind(made), evaluator(curved))
    search(p)
    assert p.best.loss == pytest.approx(0.5, abs=1e-4)
    assert p.best.values == pytest.approx(TRUE, rel=1e-2)
    assert "largest_miss" in next(iter(estimate(p, p.best).undetermined.values()))


def test_a_cost_function_that_fails_is_a_failed_evaluation_with_its_name():
    import stpspec

    @stpspec.cost("breaking")
    def breaking(metrics, targets):
        """Break, or give something that is no number."""
        return 1 / 0 if metrics["t0"] > 0.3 else float("nan")

    made = experiment(
        fitter={"kind": "minimize"}, objective={"terms": terms(1.0), "cost": "breaking"}
    )
    p = Problem(bind(made), evaluator(lambda U: (U,)))
    p.evaluate(np.array([[0.0], [1.0]]))
    assert "'breaking' gave nan" in p.history[0].reason
    assert "'breaking' failed: ZeroDivisionError" in p.history[1].reason


def test_fields_of_the_fitters_that_cannot_be_are_refused_with_their_reason():
    for fitter, path in (
        ({"kind": "optuna", "sampler": "bayes"}, "fitter.sampler"),
        ({"kind": "minimize", "method": "BFGS"}, "fitter.method"),
        ({"kind": "minimize", "tolerance": 0}, "fitter.tolerance"),
        ({"kind": "minimize", "budget": {"evaluations": 0}}, "fitter.budget.evaluations"),
        ({"kind": "minimize", "n_starts": 0}, "fitter.n_starts"),
        ({"kind": "minimize", "start": "sobl"}, "fitter.start"),
    ):
        assert [p.path for p in examine(data(fitter=fitter))[1]] == [path]


# -- on the reference numerics ------------------------------------------------------------------


def test_best_point_that_the_reference_cannot_simulate_is_passed_over_and_the_next_reported():
    bound = bind(
        synapse(
            {"pair": {"kind": "single_event", "duration": 10}}, mechanism="Dividing",
            fixed={"e": 0}, model={"mod": [str(MOD)]}, numerics={"dt": 0.1, "settle": 20},
        ).changed({
            "parameters": {"share": {"min": 0, "max": 1}},
            "objective": {"terms": {"t0": {"metric": "amplitude", "protocol": "pair", "target": 0,
                                           "sd": 1}}},
        })
    )  # fmt: skip
    made = Problem(bound, evaluator(lambda share: [share]))  # its best is at the share 0
    made.evaluate(np.array([[0.0], [0.5], [1.0]]))
    best, here, told = sound(bound, made)
    assert best.values == here.values == {"share": 0.5}
    assert told.startswith("passed over the best point")
    assert "from t = " in told
    only = Problem(bound, evaluator(lambda share: [share]))
    only.evaluate(np.array([[0.0]]))
    with pytest.raises(FitError, match=r"cannot be simulated with the reference numerics"):
        sound(bound, only)
