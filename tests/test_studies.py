"""Studies: every evaluation is kept, nothing is made twice, a killed fit goes on."""

import logging
import signal
import time

import numpy as np
import optuna
import pytest
from optuna.storages.journal import JournalFileBackend
from small import ROOT, data

import stpspec
from stpspec.errors import SpecError, StudyError
from stpspec.specs.experiment import Experiment
from stpspec.specs.study import StudySpec
from stpspec.studies.storage import open_storage

FITTERS = {
    "least_squares": {"kind": "least_squares", "start": "middle"},
    "SLSQP": {"kind": "minimize", "start": "middle"},
    "Nelder-Mead": {"kind": "minimize", "method": "Nelder-Mead", "budget": {"evaluations": 30}},
    "bounded": {"kind": "bounded"},
    "TPE": {"kind": "optuna", "budget": {"evaluations": 24}},
}


SEVERAL_STARTS = {"kind": "minimize", "method": "Nelder-Mead", "start": "sobol", "n_starts": 4,
                  "budget": {"evaluations": 40}}  # fmt: skip


def studied(folder, fitter="TPE", name="s", **changes):
    """Return a small fit that is kept in a journal in a folder."""
    chosen = FITTERS[fitter] if isinstance(fitter, str) else fitter
    study = {"name": name, "storage": str(folder / "s.journal")}
    return Experiment.from_data(data(fitter=chosen, study=study) | changes)


def accepting(folder):
    return {"name": "s", "storage": str(folder / "s.journal"), "accept_changes": True}


def trials(folder, name="s"):
    storage = open_storage(str(folder / "s.journal")).optuna
    return optuna.load_study(study_name=name, storage=storage).trials


@pytest.mark.parametrize("fitter", FITTERS)
def test_every_evaluation_of_every_fitter_is_one_trial_with_its_metrics(fitter, tmp_path):
    result = stpspec.fit(studied(tmp_path, fitter))
    evaluated = [t for t in trials(tmp_path) if "evaluation" in t.user_attrs]
    assert len(evaluated) == result.n_evaluations
    for trial, loss in zip(evaluated, result.history["loss"].values, strict=True):
        assert trial.value == loss
        assert trial.user_attrs["evaluation"]["metrics"].keys() == {"size"}
    best = min(evaluated, key=lambda t: t.value)
    assert best.params == pytest.approx(result.parameters)


@pytest.mark.parametrize("fitter", FITTERS)
def test_same_command_again_simulates_nothing_anew(fitter, tmp_path, monkeypatch):
    first = stpspec.fit(studied(tmp_path, fitter))
    before = len(trials(tmp_path))

    def refuse(*_):
        raise AssertionError("simulated again")

    monkeypatch.setattr("stpspec.fitters.problem.Problem._simulate", refuse)
    monkeypatch.setattr("stpspec.fitters.uncertainty._jacobians", lambda *_: None)
    again = stpspec.fit(studied(tmp_path, fitter))
    assert again.parameters == first.parameters
    assert again.n_evaluations == first.n_evaluations
    assert sum("evaluation" in t.user_attrs for t in trials(tmp_path)) == sum(
        "evaluation" in t.user_attrs for t in trials(tmp_path)[:before]
    )


def test_budget_means_the_total_over_all_runs(tmp_path):
    def run(n):
        fitter = {"kind": "optuna", "budget": {"evaluations": n}}
        return stpspec.fit(studied(tmp_path, fitter=fitter))

    assert run(10).n_evaluations == 10
    assert run(25).n_evaluations == 25
    assert run(25).n_evaluations == 25


def test_cma_es_goes_on_with_what_it_had_learned(tmp_path):
    def run(n):
        fitter = {"kind": "optuna", "sampler": "cmaes", "batch": 4, "budget": {"evaluations": n}}
        bounds = {"U": {"min": 0.1, "max": 0.9}, "tau_decay": {"min": "1 ms", "max": "4 ms"}}
        return stpspec.fit(studied(tmp_path, fitter=fitter, parameters=bounds))

    run(24)
    assert run(48).n_evaluations == 48
    generations = [
        value for t in trials(tmp_path) for name, value in t.system_attrs.items()
        if "generation" in name
    ]  # fmt: skip
    assert max(generations) > 0
    assert generations[-1] >= generations[len(generations) // 2]  # not begun anew


def test_batch_of_evaluations_is_two_writes(tmp_path, monkeypatch):
    written = []
    real = JournalFileBackend.append_logs
    append = lambda self, logs: written.append(len(logs)) or real(self, logs)  # noqa: E731
    monkeypatch.setattr(JournalFileBackend, "append_logs", append)
    fitter = {"kind": "optuna", "sampler": "random", "batch": 16, "budget": {"evaluations": 64}}
    stpspec.fit(studied(tmp_path, fitter=fitter))
    assert len(written) < 64 / 16 * 2 + 16  # and a few when the study is made and drawn
    assert sum("evaluation" in t.user_attrs for t in trials(tmp_path)) == 64


def test_changed_experiment_is_refused_with_the_difference_unless_accepted(tmp_path):
    stpspec.fit(studied(tmp_path))
    changed = {"numerics": {"dt": 0.05, "settle": 20}}
    with pytest.raises(StudyError, match=r"numerics.dt: 0.1 then, 0.05 now"):
        stpspec.fit(studied(tmp_path, **changed))
    stpspec.fit(studied(tmp_path, **changed, study=accepting(tmp_path)))
    stpspec.fit(studied(tmp_path, **changed))  # accepted once and for all
    stpspec.fit(studied(tmp_path, workers=1))  # how it is computed is no change
    assert {len(trials(tmp_path, n)) for n in ("s", "s (changed 1)")} == {24}


@pytest.mark.parametrize("fitter", ["SLSQP", "TPE"])
def test_accepted_target_is_the_one_that_is_fitted(fitter, tmp_path):
    stpspec.fit(studied(tmp_path, fitter))
    terms = {"size": {"metric": "amplitude", "protocol": "single", "target": 30.0, "sd": 1.0}}
    changed = {"objective": {"terms": terms}}
    result = stpspec.fit(studied(tmp_path, fitter, study=accepting(tmp_path), **changed))
    alone = stpspec.fit(studied(tmp_path, fitter, name="alone", **changed))
    assert result.loss == alone.loss
    assert result.parameters == alone.parameters


@pytest.mark.parametrize("fitter", ["SLSQP", "TPE"])
def test_accepted_bounds_hold_and_what_lies_within_is_not_simulated_again(fitter, tmp_path):
    before = stpspec.fit(studied(tmp_path, fitter))
    bounds = {"U": {"min": 0.1, "max": 0.55}}
    experiment = studied(tmp_path, fitter, study=accepting(tmp_path), parameters=bounds)
    result = stpspec.fit(experiment)
    assert result.parameters["U"] == pytest.approx(0.55, abs=0.02)
    values = [t.params["U"] for t in trials(tmp_path, "s (changed 1)")]
    within = [u for u in before.history["parameter_U"].values if u <= 0.55]
    assert set(within) <= set(values)
    assert max(values) <= 0.55
    assert result.n_evaluations == 24 or fitter == "SLSQP"


@pytest.mark.long
def test_changed_mechanism_file_is_a_changed_experiment(started, tmp_path):
    shipped = ROOT / "mod" / "TsodyksMarkram.mod"
    own = tmp_path / "Own.mod"
    own.write_text(shipped.read_text().replace("TsodyksMarkram", "OwnOfStudies"))
    model = data()["model"] | {"mechanism": "OwnOfStudies", "mod": [str(own)]}
    stpspec.fit(studied(tmp_path, model=model))
    own.write_text(own.read_text().replace("gmax      = 0.001", "gmax      = 0.002"))
    again = started(studied(tmp_path, model=model))  # NEURON loads a mechanism once a process
    _, err = again.communicate(timeout=300)
    assert "mod/Own.mod: the file was changed" in err


@pytest.mark.parametrize(
    "fitter", ["SLSQP", pytest.param(SEVERAL_STARTS, marks=pytest.mark.long)],
    ids=["SLSQP", "Nelder-Mead"],
)  # fmt: skip
@pytest.mark.parametrize(
    "place",
    [
        pytest.param("{}/s.journal", marks=pytest.mark.long),
        pytest.param("sqlite:///{}/s.db", marks=pytest.mark.long),
    ],
)
def test_local_fits_at_once_log_each_evaluation_once(place, fitter, started, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the figures of a study in a database are kept here
    study = {"name": "s", "storage": place.format(tmp_path)}
    experiment = studied(tmp_path, fitter, study=study)
    processes = [started(experiment, cwd=tmp_path) for _ in range(3)]
    for process in processes:
        _, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
    storage = open_storage(study["storage"])
    study_trials = optuna.load_study(study_name="s", storage=storage.optuna).trials
    storage.close()
    see_that_each_was_recorded_once(study_trials, experiment, tmp_path)


def see_that_each_was_recorded_once(study_trials, experiment, folder):
    """See that the trials are those of a fit that was alone."""
    (folder / "alone").mkdir()
    alone = {"name": "s", "storage": str(folder / "alone" / "s.journal")}
    stpspec.fit(experiment.copy_with(study=StudySpec(**alone)))
    expected = [t.user_attrs["evaluation"] for t in trials(folder / "alone")]
    records = [t.user_attrs["evaluation"] for t in study_trials]
    places = sorted((r["batch"], r["index"]) for r in records)
    assert places == sorted((k["batch"], k["index"]) for k in expected)
    assert len(set(places)) == len(places) > 2


@pytest.mark.parametrize("integrator", ["variable", "fixed"])
def test_local_fit_with_a_larger_budget_repeats_nothing(integrator, tmp_path):
    bounds = {"U": {"min": 0.1, "max": 0.9}, "tau_decay": {"min": "1 ms", "max": "4 ms"}}
    numerics = {"dt": 0.1, "settle": 20, "integrator": integrator}
    for n in (5, 8, 13):
        fitter = FITTERS["SLSQP"] | {"budget": {"evaluations": n}}
        experiment = studied(tmp_path, fitter, parameters=bounds, numerics=numerics)
        result = stpspec.fit(experiment)
        points = [tuple(t.params.values()) for t in trials(tmp_path)]
        assert len(points) == len(set(points)) == result.n_evaluations <= n


def test_study_whose_maker_was_killed_before_it_wrote_its_experiment_is_taken_over(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("stpspec.studies.compatibility.ATTEMPTS", 2)
    optuna.create_study(study_name="s", storage=open_storage(str(tmp_path / "s.journal")).optuna)
    assert stpspec.fit(studied(tmp_path)).n_evaluations == 24


def test_failure_is_a_failed_trial_with_its_reason(tmp_path):
    terms = {"decay": {"metric": "decay_time", "protocol": "single", "target": 3.0, "sd": 1}}
    experiment = studied(
        tmp_path,
        protocols={"single": {"kind": "train", "n_induction": 2, "n_recovery": 0}},
        parameters={"tau_decay": {"min": "1 ms", "max": "40 ms"}},
        objective={"terms": terms},
    )
    result = stpspec.fit(experiment)
    failed = [t for t in trials(tmp_path) if t.state == optuna.trial.TrialState.FAIL]
    assert len(failed) == int((result.history["reason"] != "").sum()) > 0
    assert all("falls only to" in t.user_attrs["evaluation"]["reason"] for t in failed)


def test_journal_cut_in_the_middle_of_a_line_opens_again(tmp_path):
    stpspec.fit(studied(tmp_path))
    n = len(trials(tmp_path))
    journal = tmp_path / "s.journal"
    with journal.open("rb+") as file:
        file.truncate(journal.stat().st_size - 20)
    assert stpspec.fit(studied(tmp_path)).n_evaluations == 24
    assert len(trials(tmp_path)) >= n


def test_study_of_someone_else_is_not_touched(tmp_path):
    storage = open_storage(str(tmp_path / "s.journal")).optuna
    optuna.create_study(study_name="s", storage=storage).enqueue_trial({"x": 1})
    with pytest.raises(StudyError, match="was not made by stpspec"):
        stpspec.fit(studied(tmp_path))


@pytest.mark.parametrize(
    ("name", "rule"),
    [("a b", "a name of letters, digits"), ("../x", "a name of letters"), (2026, "needs quotes")],
)
def test_name_that_no_file_can_have_is_told_in_words(name, rule):
    for study in (name, {"name": name}):
        with pytest.raises(SpecError, match=rule):
            Experiment.from_data(data(study=study))


@pytest.mark.parametrize("place", ["postgresql://nobody@127.0.0.1:1/none", "nosuchdb://x"])
def test_storage_that_cannot_be_opened_is_named(place, tmp_path):
    experiment = studied(tmp_path, study={"name": "s", "storage": place})
    with pytest.raises(StudyError, match="cannot be opened"):
        stpspec.fit(experiment)


# -- killed, and shared -------------------------------------------------------------------------


def n_stored(folder):
    journal = folder / "s.journal"
    if not journal.exists():
        return 0
    return journal.read_bytes().count(b'"evaluation"')


@pytest.mark.parametrize("times", [3, pytest.param(30, marks=pytest.mark.long)])
@pytest.mark.parametrize("fitter", ["TPE", pytest.param("Nelder-Mead", marks=pytest.mark.long)])
def test_killing_a_fit_at_any_moment_loses_at_most_what_is_in_flight(
    fitter, times, started, tmp_path
):
    rng = np.random.default_rng(times)
    budget = {"evaluations": 40 * times}
    experiment = studied(tmp_path, fitter=FITTERS[fitter] | {"budget": budget})
    if fitter == "Nelder-Mead":  # so that it does not end by itself
        experiment = experiment.changed({"fitter.tolerance": 1e-300})
    for _ in range(times):
        before, process = n_stored(tmp_path), started(experiment)
        while n_stored(tmp_path) <= before and process.poll() is None:
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.3))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert n_stored(tmp_path) > before or process.returncode == 0
    evaluated = [t for t in trials(tmp_path) if "evaluation" in t.user_attrs]
    result = stpspec.fit(experiment)
    assert result.n_evaluations <= budget["evaluations"]
    losses = set(result.history["loss"].values.tolist())
    # Of the last the attribute may have been written, and not the value: its loss is in there.
    assert {t.user_attrs["evaluation"]["loss"] for t in evaluated} <= losses


def test_four_processes_share_one_study_without_losing_or_repeating_a_trial(started, tmp_path):
    n = 120
    experiment = studied(
        tmp_path, fitter={"kind": "optuna", "batch": 4, "budget": {"evaluations": n}}
    )
    processes = [started(experiment) for _ in range(4)]
    for process in processes:
        _, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
    done = [t for t in trials(tmp_path) if "evaluation" in t.user_attrs]
    assert len(done) == n
    assert len({tuple(t.params.values()) for t in done}) == n
    workers = {t.user_attrs["worker"] for t in done}
    assert len(workers) > 1
    assert not [t for t in trials(tmp_path) if t.state == optuna.trial.TrialState.RUNNING]


def test_study_in_a_database_leaves_our_warnings_audible(tmp_path, caplog):
    place = f"sqlite:///{tmp_path}/s.db"
    experiment = studied(tmp_path, study={"name": "s", "storage": place})
    stpspec.fit(experiment.changed({"fitter.budget.evaluations": 2}))
    with caplog.at_level(logging.WARNING, "stpspec.engine"):
        logging.getLogger("stpspec.engine").warning("heard")
    assert "heard" in caplog.text


@pytest.mark.long
def test_processes_that_make_a_database_at_once_all_fit(started, tmp_path):
    place = f"sqlite:///{tmp_path}/s.db"
    fitter = {"kind": "optuna", "batch": 2, "budget": {"evaluations": 8}}
    experiment = studied(tmp_path, fitter, study={"name": "s", "storage": place})
    for process in [started(experiment) for _ in range(3)]:
        _, err = process.communicate(timeout=300)
        assert process.returncode == 0, err


def test_password_in_the_url_of_a_storage_is_not_shown():
    place = "postgresql://me:secret@127.0.0.1:1/nothing"
    with pytest.raises(StudyError) as error:
        open_storage(place)
    assert "postgresql://me:***@127.0.0.1:1/nothing" in str(error.value)
    assert "secret" not in str(error.value)
