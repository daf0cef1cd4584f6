"""Standard errors mean what they say: intervals of 1.96 SE hold the truth in 95 % of draws."""

import numpy as np
import pytest
from helpers import PATCH

import stpspec
from stpspec.analytic import event_map
from stpspec.engine.binding.bind import bind
from stpspec.fitters.outcome import search
from stpspec.fitters.problem import Problem
from stpspec.fitters.uncertainty import estimate
from stpspec.metrics.measure import Measurement
from stpspec.metrics.miss import Miss, far_of
from stpspec.metrics.noise import Noise, correlation_time, decorrelated
from stpspec.view.campaign_table import campaign_rows
from stpspec.view.tables import fit_table

SYNAPSES = {"I3": (0.32, 144.0, 62.0), "E2": (0.5, 671.0, 17.0)}  # U, tau_rec, tau_facil
WEIGHT, SCALE = 2.0, 70.0  # nS; pA of 1 nS at full release, from −70 mV
FREQUENCIES = (10, 20, 50)
NOISE = 0.05  # of the first amplitude, one sd
BOUNDS = {
    "U": {"min": 0.01, "max": 0.99},
    "tau_rec": {"min": 5, "max": 3000, "scale": "log"},
    "tau_facil": {"min": 1, "max": 3000, "scale": "log"},
    "weight": {"min": 0.05, "max": 50, "scale": "log"},
}


def times(frequency):
    train = np.arange(8) * 1000 / frequency
    return np.concatenate([train, train[-1] + 250 + np.arange(4) * 1000 / frequency])


def trains(synapse, weight=WEIGHT):
    """Return the amplitudes of the trains, pA, by the event map."""
    return [SCALE * weight * event_map(*synapse, times(f))[0] for f in FREQUENCIES]


def table(amplitudes, sd, *, is_own_ratio=False, n=None, **parts):
    """Return the experiment that fits a table of amplitudes, one row a frequency."""
    sds = sd if isinstance(sd, list) else [sd] * len(FREQUENCIES)
    terms = {
        f"a{f}": {"metric": "amplitudes", "protocol": f"f{f}", "target": list(map(float, a)),
                  "sd": s if np.ndim(s) == 0 else list(map(float, s)), "n": n,
                  "options": {"normalizer": "first"} if is_own_ratio else {}}
        for f, a, s in zip(FREQUENCIES, amplitudes, sds, strict=True)
    }  # fmt: skip
    free = {name: b for name, b in BOUNDS.items() if name != "weight" or not is_own_ratio}
    fixed = {"tau_rise": 0.2, "tau_decay": 2, "e": 0}
    made = {
        "name": "table",
        "model": {"kind": "synapse", "cell": PATCH, "mechanism": "TsodyksMarkram", "fixed": fixed},
        "protocols": {f"f{f}": {"kind": "train", "frequency": f, "recovery_delay": 250}
                      for f in FREQUENCIES},
        "parameters": free,
        "objective": {"terms": terms},
    }  # fmt: skip
    return stpspec.Experiment.from_data(made | parts)


def drawn(synapse, kind, rng, noise=NOISE, power=0.0):
    """Return the experiment of one draw of noise; its sd is ∝ amplitude to some power."""
    true = trains(synapse)
    sds = [noise * a[0] * (a / a[0]) ** power for a in true]
    if kind == "repeats":
        each = [a + rng.normal(0, 1, (5, a.size)) * sd * 5**0.5
                for a, sd in zip(true, sds, strict=True)]  # fmt: skip
        return table([e.mean(axis=0) for e in each], [e.std(axis=0, ddof=1) for e in each], n=5)
    noisy = [a + rng.normal(0, 1, a.size) * sd for a, sd in zip(true, sds, strict=True)]
    if kind == "own":
        return table([a / a[0] for a in noisy], noise, is_own_ratio=True)
    return table(noisy, float(sds[0][0]))


def by_event_map(experiment):
    """Fit a table with amplitudes by the event map, to which the golden tests hold NEURON."""
    is_own_ratio = "weight" not in experiment.parameters

    def evaluate(candidates):
        rows = []
        for row in candidates.rows:
            found = trains((row["U"], row["tau_rec"], row["tau_facil"]), row.get("weight", 1.0))
            rows.append({
                f"a{f}": Measurement(a / a[0] if is_own_ratio else a, "1" if is_own_ratio else "pA")
                for f, a in zip(FREQUENCIES, found, strict=True)
            })  # fmt: skip
        return rows

    problem = Problem(bind(experiment), evaluate)
    outcome = search(problem)
    best = problem.best
    return best.values, estimate(problem, best, is_optimum=outcome.status == "converged").errors


def hits(synapse, kind, draws, seed=2026, **noise):
    """Return parameter → whether the truth was within 1.96 SE, for the draws with an SE."""
    rng = np.random.default_rng(seed)
    truth = dict(zip(BOUNDS, (*synapse, WEIGHT), strict=True))
    found = {name: [] for name in BOUNDS}
    for _ in range(draws):
        experiment = drawn(synapse, kind, rng, **noise)
        values, errors = by_event_map(experiment.changed({"fitter.start": "middle"}))
        for name, error in errors.items():
            found[name].append(abs(values[name] - truth[name]) < 1.96 * error)
    return found


@pytest.mark.long
@pytest.mark.parametrize("kind", ["known", "own", "repeats"])
@pytest.mark.parametrize("name", SYNAPSES)
def test_intervals_of_amplitude_tables_hold_the_truth_as_often_as_they_say(name, kind):
    draws = 200
    found = hits(SYNAPSES[name], kind, draws)
    for parameter, inside in found.items():
        if parameter == "weight" and kind == "own":
            assert not inside
        elif parameter == "tau_facil" and name == "E2":  # 17 ms are not seen at 50 Hz
            assert len(inside) < 0.1 * draws
        else:
            assert len(inside) == draws, parameter
            assert 0.90 <= np.mean(inside) <= 0.985, (parameter, np.mean(inside))


@pytest.mark.long
@pytest.mark.parametrize("name", SYNAPSES)
def test_repeats_whose_sd_follows_the_amplitude_do_not_make_intervals_too_narrow(name):
    found = hits(SYNAPSES[name], "repeats", 200, power=1.0)
    for parameter, inside in found.items():
        assert 0.90 <= np.mean(inside) <= 0.985, (parameter, np.mean(inside))


@pytest.mark.parametrize("kind", ["known", "own", "repeats"])
def test_a_few_draws_of_noise_are_held_by_most_intervals(kind):
    found = hits(SYNAPSES["I3"], kind, 30)
    for parameter in ("U", "tau_rec", "tau_facil"):
        assert len(found[parameter]) == 30
        assert np.mean(found[parameter]) >= 0.8  # without the shared noise, 0.69 on average
    assert np.mean(found["U"] + found["tau_facil"]) >= 0.87


def test_shared_noise_makes_the_sum_of_squares_that_a_free_first_amplitude_would_leave():
    rng = np.random.default_rng(1)
    model, sd = rng.uniform(0.2, 1.5, 12), rng.uniform(0.02, 0.2, 12)
    measured = rng.uniform(0.2, 1.5, 12)
    model[0] = measured[0] = 1.0
    free = sd**-2 * measured @ model / (sd**-2 * model @ model)
    by_scale = np.sum(((measured - free * model) / sd) ** 2)
    d = (decorrelated(model, measured, sd) - measured[1:]) / sd[1:]
    covariance = np.diag(sd[1:] ** 2) + sd[0] ** 2 * np.outer(model[1:], model[1:])
    difference = model[1:] - measured[1:]
    assert d @ d == pytest.approx(by_scale)
    assert d @ d == pytest.approx(difference @ np.linalg.solve(covariance, difference))
    assert d.shape == (11,)


@pytest.fixture(scope="module")
def own():
    """A fit in NEURON of trains divided by their own first amplitude."""
    return stpspec.fit(drawn(SYNAPSES["I3"], "own", np.random.default_rng(5)))


def test_a1_by_a1_is_no_datum_and_loss_and_misses_agree(own):
    assert str(own).startswith("table: 3 free parameters, 33 targets")
    misses = own.misses.values()
    assert [m.scaled.size for m in misses] == [11, 11, 11]
    assert own.loss == pytest.approx(sum(float(np.mean(m.scaled**2)) for m in misses))
    for name, term in own.experiment.objective.terms.items():
        m, y = own.metrics[name][1:], np.array(term.target[1:])
        covariance = term.sd**2 * (np.eye(11) + np.outer(m, m))
        squares = (y - m) @ np.linalg.solve(covariance, y - m)
        assert own.misses[name].number == pytest.approx(np.sqrt(squares / 11))


@pytest.mark.parametrize("fitter", [{"kind": "minimize"}, {"kind": "least_squares"}])
def test_every_fitter_minimizes_the_loss_with_the_shared_noise(fitter, own):
    changed = own.experiment.changed({"fitter": fitter})
    values, errors = by_event_map(changed)
    for name, error in own.errors.items():
        assert values[name] == pytest.approx(own.parameters[name], abs=0.05 * error)
        assert errors[name] == pytest.approx(error, rel=0.02)


def test_table_summary_and_saved_result_have_the_same_standard_errors(own, tmp_path):
    own.save(tmp_path / "r")
    loaded = stpspec.FitResult.load(tmp_path / "r")
    assert loaded.errors == own.errors
    summary = own.summary()["parameters"]
    assert {n: p["standard_error"] for n, p in summary.items()} == own.errors
    assert fit_table(loaded) == fit_table(own)
    for name, miss in loaded.misses.items():
        np.testing.assert_array_equal(miss.scaled, own.misses[name].scaled)


def size(**term):
    """Return the fit of one amplitude, without NEURON's own noise."""
    data = table(trains(SYNAPSES["I3"]), 1.0).to_data()
    data["protocols"] = {"single": {"kind": "single_event"}}
    data["parameters"] = {"U": {"min": 0.1, "max": 0.9}}
    data["objective"] = {"terms": {"size": {"metric": "amplitude", "protocol": "single",
                                            "target": 40, **term}}}  # fmt: skip
    data["model"]["fixed"] |= {"weight": 2, "tau_rec": 100, "tau_facil": 50}
    return stpspec.fit(stpspec.Experiment.from_data(data))


def test_the_mean_of_n_repeats_is_off_by_their_sd_over_the_root_of_n():
    of_mean, of_each = size(sd=2), size(sd=6, n=9)
    assert of_each.errors["U"] == pytest.approx(of_mean.errors["U"])
    assert of_each.loss == pytest.approx(of_mean.loss)
    assert "40 ± 2 (s.e.m., n = 9)" in fit_table(of_each)
    assert "degrees" not in fit_table(of_mean)


def test_an_sd_of_five_repeats_has_the_interval_of_students_t():
    result = size(sd=6, n=5)
    assert result.degrees_of_freedom == {"U": pytest.approx(4)}
    assert "95 %: ± 2.8 SE (4 degrees of freedom)" in fit_table(result)
    assert result.summary()["parameters"]["U"]["degrees_of_freedom"] == pytest.approx(4)


def test_sds_of_few_repeats_are_pooled_where_they_scatter_by_chance_alone():
    rng = np.random.default_rng(3)
    sd = np.sqrt(rng.chisquare(4, 12) / 4)
    noise = Noise.of(sd, 5, np.linspace(1, 2, 12))
    np.testing.assert_allclose(noise.sd, np.sqrt(np.mean(sd**2) / 5))
    assert noise.is_pooled
    assert noise.degrees[0] == 48


def test_sds_of_many_repeats_stay_and_those_of_few_follow_the_size_of_the_values():
    target = np.geomspace(1, 50, 12)
    many = np.random.default_rng(4).uniform(1, 3, 12)
    np.testing.assert_allclose(Noise.of(many, 1000, target).sd * 1000**0.5, many, rtol=0.01)
    few = 0.1 * target * np.sqrt(np.random.default_rng(4).chisquare(4, 12) / 4)
    ratio = Noise.of(few, 5, target).sd * 5**0.5 / (0.1 * target)
    assert np.abs(np.log(ratio)).max() < 0.5  # one alone is off by up to a factor of 3


def test_correlated_samples_count_by_their_effective_number():
    rng, rho, n = np.random.default_rng(6), 0.9, 20000
    noise = np.empty(n)
    noise[0] = rng.normal()
    for k in range(1, n):
        noise[k] = rho * noise[k - 1] + rng.normal() * (1 - rho**2) ** 0.5
    assert correlation_time(noise) == pytest.approx((1 + rho) / (1 - rho), rel=0.15)
    assert correlation_time(rng.normal(size=n)) < 1.1


def errors_of_a_trace(interval, noise):
    """Return the SE of the height of a decay whose noise, every 0.025 ms, is given."""
    t = np.arange(0, 100 + interval / 2, interval)
    target = 0.5 * np.exp(-t / 20) + noise[:: round(interval / 0.025)][: t.size]
    data = table(trains(SYNAPSES["I3"]), 1.0).to_data()
    data["protocols"] = {"single": {"kind": "single_event", "duration": 150}}
    data["parameters"] = {"U": {"min": 0.1, "max": 0.9}}
    data["objective"] = {"terms": {"whole": {
        "metric": "trace", "protocol": "single", "target": target.tolist(), "sd": 0.1,
        "options": {"windows": [[0, 100]], "interval": interval}}}}  # fmt: skip

    def evaluate(candidates):
        return [{"whole": Measurement(row["U"] * np.exp(-t / 20), "pA")} for row in candidates.rows]

    problem = Problem(bind(stpspec.Experiment.from_data(data)), evaluate)
    search(problem)
    return estimate(problem, problem.best, is_optimum=True).errors["U"]


def test_sampling_a_trace_more_often_than_its_noise_changes_does_not_make_it_more_certain():
    rng, rho = np.random.default_rng(9), np.exp(-0.025 / 3)  # 3 ms
    noise = np.zeros(4001)
    for k in range(1, 4001):
        noise[k] = rho * noise[k - 1] + 0.1 * rng.normal() * (1 - rho**2) ** 0.5
    coarse, fine = (errors_of_a_trace(interval, noise) for interval in (0.2, 0.025))
    assert fine == pytest.approx(coarse, rel=0.1)  # and not coarse / √8
    white = errors_of_a_trace(0.025, 0.1 * rng.normal(size=4001))
    assert white < fine / 5


def test_misses_far_above_their_sd_are_told_once_with_the_reduced_chi_squared():
    synapse, rng = SYNAPSES["I3"], np.random.default_rng(8)
    noisy = [a + rng.normal(0, 3, a.size) for a in trains(synapse)]
    text = fit_table(stpspec.fit(table(noisy, 1.0)))
    assert text.count("reduced χ² is") == 1
    assert "note on a10, a20, a50: the misses are larger" in text


def test_a_time_constant_that_noise_hides_has_an_interval_and_no_standard_error():
    result = stpspec.fit(drawn(SYNAPSES["E2"], "known", np.random.default_rng(2)))
    assert "tau_facil" not in result.errors
    assert "hardly determined: " in result.undetermined["tau_facil"]


def test_the_largest_of_many_misses_is_far_only_where_chance_would_not_make_it_so():
    assert far_of(1) == pytest.approx(3)
    assert far_of(12) == pytest.approx(3.69, abs=0.01)
    target = np.ones(12)
    value = target.copy()
    value[3] += 3.3
    assert not Miss.of(value, target, 1.0).is_far
    assert Miss.of(value[3:4], target[:1], 1.0).is_far


def test_a_campaign_takes_n_from_its_column_and_shows_the_same_errors(tmp_path):
    base = size(sd=6).experiment
    rows = {"a": {"size": "40 ± 6", "size_n": 9}, "b": {"size": "40 ± 2", "size_n": "–"}}
    campaign = stpspec.campaign(rows, base, folder=tmp_path / "c")
    header, a, b = campaign_rows(campaign.connections)
    assert a[header.index("size n")] == "9"
    assert b[header.index("size n")] == ""
    errors = [float(row[header.index("U_se")]) for row in (a, b)]
    assert errors[0] == pytest.approx(errors[1])
    assert errors[0] == pytest.approx(campaign["a"].errors["U"], rel=1e-9)


@pytest.mark.parametrize(
    ("term", "rule"),
    [
        ({"sd": None, "n": 3}, "it needs an sd"),
        ({"sd": 1.0, "n": [3, 4]}, "a list of n needs a list of as many targets"),
        ({"sd": 1.0, "n": 0}, "greater than or equal to 1"),
        ({"target": [0.5] * 12, "options": {"normalizer": "first"}}, "begin with 1"),
    ],
)
def test_an_n_that_does_not_belong_to_its_target_is_refused(term, rule):
    data = table(trains(SYNAPSES["I3"]), 1.0).to_data()
    data["objective"]["terms"]["a10"] |= term
    with pytest.raises(stpspec.SpecError, match=rule):
        stpspec.Experiment.from_data(data)


def test_noise_around_zero_in_a_table_of_amplitudes_is_no_wrong_sign():
    amplitudes = trains(SYNAPSES["E2"])
    amplitudes[2][5] = -3.0
    assert table(amplitudes, 3.5).objective.terms["a50"].target[5] == -3.0
    with pytest.raises(stpspec.SpecError, match="is a magnitude"):
        table([-a for a in trains(SYNAPSES["E2"])], 3.5)
    with pytest.raises(stpspec.SpecError, match="is a magnitude"):
        table(amplitudes, 0.1)
