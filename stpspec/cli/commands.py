"""What each verb of the command does with a composed experiment. Prints for people."""

from __future__ import annotations

import argparse
import contextlib
import datetime
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from stpspec.errors import SpecError, SpecProblem, StpspecError
from stpspec.log import kept


def check(data: dict[str, Any], origin: Any) -> int:
    """Report all problems; nothing is simulated."""
    from stpspec import api

    problems = [p.at(origin.where(p.path)) for p in api.check(data)]
    if problems:
        raise SpecError(problems, f"{data.get('name', 'the experiment')} is not valid")
    print(f"{data.get('name', 'experiment')}: no problems")
    return 0


def fit(arguments: argparse.Namespace, data: dict[str, Any], origin: Any) -> int:
    """Fit, save, and print the table."""
    from stpspec import api
    from stpspec.view.tables import fit_table

    with _located(origin), kept(command=True) as log:
        experiment = _experiment(data)
        folder = _folder(arguments, experiment.name, "fit")
        with _progress(experiment, arguments.quiet) as progress:
            result = api.fit(experiment, progress=progress)
    print(fit_table(result), flush=True)  # first: the disk may be full
    saved = result.save(folder, overwrite=arguments.overwrite)
    log.write(saved)
    print(f"files in {_shown(saved)}")
    return 1 if result.status == "interrupted" else 0


def run(arguments: argparse.Namespace, data: dict[str, Any], origin: Any) -> int:
    """Simulate once and print every metric with its arithmetic."""
    from stpspec import api
    from stpspec.results.provenance import sources_of
    from stpspec.results.simulation import save_run
    from stpspec.view.tables import run_table

    values = _values(arguments, data)
    with _located(origin), kept(command=True) as log:
        if lists := {n: v for n, v in values.items() if isinstance(v, list)}:
            rule = "run simulates one value; stpspec sweep measures over a list"
            raise SpecError([SpecProblem(n, rule, v) for n, v in lists.items()], "too many values")
        experiment = _experiment(data)
        folder = _folder(arguments, experiment.name, "run")
        tree, measured = api.run(experiment, values)
    print(f"{experiment.name} at {_at(tree)}\n")
    print(run_table(measured, experiment.protocols))
    saved = save_run(
        folder, experiment, tree, sources_of(experiment), overwrite=arguments.overwrite
    )
    log.write(saved)
    print(f"\nfiles in {_shown(saved)}")
    failed = str(tree["failure"].values[0])
    if failed:
        raise StpspecError(f"the simulation failed: {failed}")
    return 0


def sweep(
    arguments: argparse.Namespace, data: dict[str, Any], origin: Any, fields: Mapping[str, Any]
) -> int:
    """Measure the experiment over a grid of fields; frequency response by default."""
    from stpspec.results.simulation import save_sweep
    from stpspec.sweeps import frequency_grid
    from stpspec.sweeps import sweep as over
    from stpspec.view.tables import sweep_table

    values = _values(arguments, data)
    with _located(origin), kept(command=True) as log:
        experiment = _experiment(data)
        fields = fields or frequency_grid(experiment)
        folder = _folder(arguments, experiment.name, "sweep")
        with bar(experiment.name, "combination", None, arguments.quiet) as shown:

            def progress(done: int, total: int) -> None:
                shown.total = total
                shown.update(done - shown.n)

            swept = over(experiment, fields, values=values, progress=progress)
    print(sweep_table(swept))
    saved = save_sweep(
        folder, experiment, swept, scale=arguments.axis, overwrite=arguments.overwrite
    )
    log.write(saved)
    print(f"\nevery metric in {_shown(saved)}: sweep.nc, sweep.csv, sweep.png")
    return 0


def collect(folder: str) -> int:
    """Print and write one table and one figure over the jobs of a multirun."""
    from stpspec.results import multirun
    from stpspec.results.simulation import save_jobs
    from stpspec.view.multirun import jobs_table

    found = multirun.collect(folder)
    print(jobs_table(found, multirun.varied(found)))
    save_jobs(Path(folder), found, multirun.varied(found))
    states = [job.status for job in found]
    count = ", ".join(
        f"{states.count(s)} {s}"
        for s in ("done", "failed", "interrupted", "running")
        if s in states
    )
    print(f"\n{count}; jobs.csv and jobs.png in {folder}")
    return 1 if "failed" in states else 0


def complain(error: Exception, with_traceback: bool) -> int:
    """Print an error as one block on standard error; return the exit code."""
    if with_traceback:
        traceback.print_exception(error)
    elif not isinstance(error, StpspecError):
        print(
            f"stpspec: an error that should not happen: {type(error).__name__}: {error}\n"
            f"  please report it with what --traceback shows",
            file=sys.stderr,
        )
    else:
        print(f"stpspec: {error}", file=sys.stderr)
    return getattr(error, "exit_code", 1)


def _values(arguments: argparse.Namespace, data: dict[str, Any]) -> dict[str, Any]:
    """Return parameter values: those of a saved result, then those of the command line."""
    if data.get("model") is None:  # nothing could have such a parameter: it is a misspelled field
        return dict(getattr(arguments, "fitted", {}))
    given = {n: data.pop(n) for n in list(data) if n not in _fields()}
    return {**getattr(arguments, "fitted", {}), **given}


def _at(tree: Any) -> str:
    values = [
        f"{n} = {float(v.values[0]):.5g} {v.attrs.get('units', '')}".strip().removesuffix(" 1")
        for n, v in tree.to_dataset().data_vars.items()
        if n != "failure"
    ]
    return ", ".join(values) or "the values of the model"


def _fields() -> set[str]:
    from stpspec.specs.experiment import Experiment

    return set(Experiment.model_fields)


def _experiment(data: dict[str, Any]) -> Any:
    from stpspec.specs.experiment import Experiment

    for name in set(data) - _fields():
        if name in (data.get("parameters") or {}):
            rule = (
                f"{name} is a free parameter: parameters.{name}.start={data[name]} begins the fit "
                f"there; to fix it, delete ~parameters.{name} and set model.fixed.{name}"
            )
            raise SpecError([SpecProblem(name, rule)])
    return Experiment.from_data(data)


@contextlib.contextmanager
def _located(origin: Any) -> Iterator[None]:
    """Say of each problem in which file and line it was written."""
    try:
        yield
    except SpecError as error:
        raise SpecError(
            [p.at(origin.where(p.path)) for p in error.problems], error.title
        ) from error


def _folder(arguments: argparse.Namespace, name: str, verb: str) -> Path:
    """Return where the results go; find out now, not after an hour, that it cannot be written."""
    from stpspec.results.folder import writable

    if arguments.out:
        return writable(Path(arguments.out), overwrite=arguments.overwrite)
    stamp = datetime.datetime.now().strftime("%Y-%m-%d_%H-%M-%S-%f")[:-3]
    return writable(Path("stpspec-results") / name / f"{verb}_{stamp}")


@contextlib.contextmanager
def bar(name: str, unit: str, total: int | None, quiet: bool) -> Iterator[Any]:
    """Show a progress bar on standard error, where that is a terminal."""
    from tqdm import tqdm

    off = True if quiet else None  # None: silent when standard error is no terminal
    with tqdm(total=total, desc=name, unit=f" {unit}", disable=off, leave=False) as shown:
        yield shown


@contextlib.contextmanager
def _progress(experiment: Any, quiet: bool) -> Iterator[Callable[[int, int | None, float], None]]:
    fitter = experiment.fitter
    total = fitter.budget.evaluations if fitter.uses_whole_budget else None
    with bar(experiment.name, "simulation", total, quiet) as shown:

        def progress(done: int, budget: int | None, best: float) -> None:
            shown.set_postfix_str(f"loss {best:.4g}", refresh=False)
            shown.update(done - shown.n)

        yield progress


def _shown(path: Path) -> str:
    with contextlib.suppress(ValueError):
        return str(path.relative_to(Path.cwd()))
    return str(path)
