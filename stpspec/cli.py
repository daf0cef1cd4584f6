"""The ``stpspec`` command. The one module that talks to the terminal."""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from stpspec import __version__
from stpspec.errors import SpecError, StpspecError

VERBS = ("run", "fit", "check", "list", "schema")

_HELP = """\
verbs
  run      simulate an experiment at its start values; print every metric and how it is calculated
  fit      fit the free parameters to the objective
  check    report all problems of an experiment, without simulating
  list     list what there is: experiments, models, protocols, metrics, losses, fitters
  schema   print the JSON schema of experiment files, or of one group (stpspec schema protocol)

examples
  stpspec fit experiment=pvalb_pyr
  stpspec fit pvalb_pyr fitter=tpe seed=1 --out my_fit
  stpspec fit my_experiment.yaml protocols.train.frequency=20
  stpspec fit -m experiment=pvalb_pyr fitter=slsqp,least_squares,tpe
  stpspec run experiment=pvalb_pyr U=0.3 tau_rec='0.5 s'
  stpspec check my_experiment.yaml

exit codes
  0  done    1  the experiment is not valid, or failed    2  the command line is not valid
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    arguments = _parser().parse_intermixed_args(argv)
    logging.basicConfig(
        level=arguments.log_level.upper(), format="%(levelname)s %(name)s: %(message)s"
    )
    if arguments.verb is None:
        _parser().print_help()
        return 2
    if arguments.verb not in VERBS:
        from stpspec.errors import unknown_name

        return _usage(str(unknown_name("verb", arguments.verb, VERBS)))
    try:
        return _dispatch(arguments)
    except StpspecError as error:
        return _complain(error, arguments.traceback)
    except KeyboardInterrupt:
        print("\nstpspec: interrupted", file=sys.stderr)
        return 1
    except BrokenPipeError:
        sys.stderr.close()  # `stpspec … | head` is no error
        return 0
    except Exception as error:  # a fault of ours: still one clear block, and how to see more
        return _complain(error, arguments.traceback)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        from stpspec.errors import nearest

        flag = message.partition("unrecognized arguments: ")[2].split(" ")[0]
        known = [o for action in self._actions for o in action.option_strings]
        guess = nearest(flag, known) if flag else None
        hint = f"; did you mean {guess!r}?" if guess else ""
        self.exit(_usage(f"{message}{hint}"))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="stpspec",
        usage="stpspec VERB [PATH…] [key=value…] [--flags]",
        description="Write an experiment on a synapse as data, run it in NEURON, fit the synapse.",
        epilog=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("verb", nargs="?", metavar="VERB", help=", ".join(VERBS))
    parser.add_argument(
        "rest", nargs="*", metavar="PATH | key=value",
        help="experiments (names, YAML files, folders) and overrides in Hydra's syntax",
    )  # fmt: skip
    parser.add_argument("-m", "--multirun", action="store_true", help="one job per combination")
    parser.add_argument("--out", metavar="DIR", help="where the results go")
    parser.add_argument("--overwrite", action="store_true", help="replace results in --out")
    parser.add_argument(
        "--config-dir", metavar="DIR", action="append", default=[],
        help="a folder of your own with conf groups, experiments/, mod/, templates/",
    )  # fmt: skip
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.add_argument(
        "--traceback", action="store_true", help="show Python's traceback on errors"
    )
    parser.add_argument(
        "--log-level", default="warning", choices=["debug", "info", "warning", "error"]
    )
    parser.add_argument("--version", action="version", version=f"stpspec {__version__}")
    return parser


def _dispatch(arguments: argparse.Namespace) -> int:
    from stpspec.resources import search_in

    overrides = [word for word in arguments.rest if _is_override(word)]
    paths = [word for word in arguments.rest if not _is_override(word)]
    missing = [d for d in arguments.config_dir if not Path(d).is_dir()]
    if missing:
        return _usage(f"--config-dir: no such folder: {missing[0]}")
    if arguments.verb == "list":
        return _list(paths)
    if arguments.verb == "schema":
        return _schema(paths)
    if not paths and not overrides:
        return _usage(f"stpspec {arguments.verb} what? For example: experiment=pvalb_pyr")
    with search_in(arguments.config_dir):
        if arguments.multirun:
            return _multirun(arguments, paths, overrides)
        if arguments.out and len(paths) > 1:
            return _usage("--out takes one result: give one PATH")
        return max(_attempt(arguments, path, overrides) for path in paths or [None])


def _attempt(arguments: argparse.Namespace, path: str | None, overrides: Sequence[str]) -> int:
    """Do one experiment; its errors do not keep the next from its turn."""
    try:
        return _one(arguments, path, overrides)
    except StpspecError as error:
        return _complain(error, arguments.traceback)


def _is_override(word: str) -> bool:
    return word[:1] in ("+", "~") or ("=" in word and not Path(word).exists())


def _one(arguments: argparse.Namespace, path: str | None, overrides: Sequence[str]) -> int:
    from stpspec.config import choose, compose
    from stpspec.resources import search_in

    _, file = choose(path)
    with search_in([file.parent] if file else []):
        data, origin = compose(path, overrides)
        if arguments.verb == "check":
            return _check(data, origin)
        return {"fit": _fit, "run": _run}[arguments.verb](arguments, data, origin)


# -- verbs --------------------------------------------------------------------------------------


def _check(data: dict[str, Any], origin: Any) -> int:
    from stpspec import api

    problems = [p.at(origin.where(p.path)) for p in api.check(data)]
    if problems:
        raise SpecError(problems, f"{data.get('name', 'the experiment')} is not valid")
    print(f"{data.get('name', 'experiment')}: no problems")
    return 0


def _fit(arguments: argparse.Namespace, data: dict[str, Any], origin: Any) -> int:
    from stpspec import api
    from stpspec.view.tables import fit_table

    with _located(origin):
        experiment = _experiment(data)
        folder = _folder(arguments, experiment.name, "fit")
        with _progress(experiment, arguments.quiet) as progress:
            result = api.fit(experiment, progress=progress)
    saved = result.save(folder, overwrite=arguments.overwrite)
    print(fit_table(result))
    print(f"files in {_shown(saved)}")
    return 0


def _run(arguments: argparse.Namespace, data: dict[str, Any], origin: Any) -> int:
    from stpspec import api
    from stpspec.results import save_run
    from stpspec.view.tables import run_table

    values = {n: data.pop(n) for n in list(data) if n not in _fields()}
    with _located(origin):
        experiment = _experiment(data)
        folder = _folder(arguments, experiment.name, "run")
        tree, measured = api.run(experiment, values)
    print(f"{experiment.name} at {_at(tree)}\n")
    print(run_table(measured, experiment.protocols))
    saved = save_run(folder, experiment, tree, overwrite=arguments.overwrite)
    print(f"\nfiles in {_shown(saved)}")
    failed = str(tree["failure"].values[0])
    if failed:
        raise StpspecError(f"the simulation failed: {failed}")
    return 0


def _at(tree: Any) -> str:
    values = [
        f"{n} = {float(v.values[0]):.5g} {v.attrs.get('units', '')}".strip().removesuffix(" 1")
        for n, v in tree.to_dataset().data_vars.items()
        if n != "failure"
    ]
    return ", ".join(values) or "the values of the model"


def _fields() -> set[str]:
    from stpspec.spec.experiment import Experiment

    return set(Experiment.model_fields)


def _list(words: Sequence[str]) -> int:
    from stpspec import catalog
    from stpspec.errors import unknown_name

    unknown = [w for w in words if w not in catalog.SORTS]
    if unknown:
        return _usage(str(unknown_name("list", unknown[0], catalog.SORTS)))
    print(catalog.text(words or catalog.SORTS))
    return 0


def _schema(words: Sequence[str]) -> int:
    from stpspec.errors import unknown_name
    from stpspec.spec.experiment import json_schema

    groups = ("experiment", "model", "recording", "protocol", "objective", "fitter", "numerics")
    if len(words) > 1 or any(w not in groups for w in words):
        return _usage(str(unknown_name("schema", " ".join(words), groups)))
    part = words[0] if words and words[0] != "experiment" else None
    print(json.dumps(json_schema(part), indent=2, ensure_ascii=False))
    return 0


def _multirun(arguments: argparse.Namespace, paths: Sequence[str], overrides: list[str]) -> int:
    """Hand the jobs over to Hydra; a job that fails lets the others run."""
    import hydra

    from stpspec.config import check_overrides, choose, data_of, forced, readable, sources
    from stpspec.resources import shipped

    if arguments.verb == "check":
        return _usage("check takes one experiment at a time: leave out -m")
    if len(paths) > 1:
        return _usage("with -m, name several experiments as experiment=a,b")
    chosen, file = choose(paths[0] if paths else None)
    check_overrides(overrides)
    words = [*chosen, *(forced(o) for o in overrides)]
    failed: list[str] = []

    def job(config: Any) -> None:
        from hydra.core.hydra_config import HydraConfig

        here = HydraConfig.get()
        print(f"\n── job {here.job.num}: {' '.join(o.lstrip('+') for o in here.overrides.task)}")
        data, origin = data_of(config, file)
        mine = argparse.Namespace(**{**vars(arguments), "out": f"{here.runtime.output_dir}/result"})
        try:
            {"fit": _fit, "run": _run}[arguments.verb](mine, data, origin)
        except Exception as error:  # whatever it is, the other jobs run
            failed.append(here.job.id)
            text = f"{type(error).__name__}: {error}\n"
            (Path(here.runtime.output_dir) / "failed.txt").write_text(text, encoding="utf-8")
            _complain(error, arguments.traceback)

    stamp = datetime.datetime.now().strftime("%Y-%m-%d_%H-%M-%S-%f")
    sweep = arguments.out or f"stpspec-results/multirun/{stamp}"
    settings = [f"hydra.sweep.dir='{sweep}'", "hydra.job.chdir=false",
                "hydra.output_subdir=null", "hydra/job_logging=disabled",
                "hydra/hydra_logging=disabled", "hydra.job.name=stpspec"]  # fmt: skip
    before, full = sys.argv, os.environ.get("HYDRA_FULL_ERROR", "0")
    sys.argv = ["stpspec", *words, *settings, "--multirun"]
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra's errors come to us, who know how to tell them
    try:
        with sources(file, overrides), readable():
            hydra.main(config_path=str(shipped("conf")), config_name="config", version_base="1.3")(
                job
            )()
    finally:
        sys.argv, os.environ["HYDRA_FULL_ERROR"] = before, full
    print(
        f"\n{'all jobs done' if not failed else f'{len(failed)} job(s) failed'}; files in {sweep}"
    )
    return 1 if failed else 0


# -- helpers ------------------------------------------------------------------------------------


def _experiment(data: dict[str, Any]) -> Any:
    from stpspec.spec.experiment import Experiment

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
    from stpspec.results import writable

    if arguments.out:
        return writable(Path(arguments.out), overwrite=arguments.overwrite)
    stamp = datetime.datetime.now().strftime("%Y-%m-%d_%H-%M-%S-%f")[:-3]
    return writable(Path("stpspec-results") / name / f"{verb}_{stamp}")


@contextlib.contextmanager
def _progress(experiment: Any, quiet: bool) -> Iterator[Callable[[int, int | None, float], None]]:
    from tqdm import tqdm

    # Only a sampler uses its whole budget; an optimizer ends when it has converged.
    total = experiment.fitter.budget.evaluations if experiment.fitter.kind == "optuna" else None
    off = True if quiet else None  # None: silent when standard error is no terminal
    with tqdm(total=total, desc=experiment.name, unit="sim", disable=off, leave=False) as bar:

        def progress(done: int, budget: int | None, best: float) -> None:
            bar.set_postfix_str(f"loss {best:.4g}", refresh=False)
            bar.update(done - bar.n)

        yield progress


def _shown(path: Path) -> str:
    with contextlib.suppress(ValueError):
        return str(path.relative_to(Path.cwd()))
    return str(path)


def _complain(error: Exception, with_traceback: bool) -> int:
    if with_traceback:
        traceback.print_exception(error)
    elif not isinstance(error, StpspecError):
        print(f"stpspec: an error that should not happen: {type(error).__name__}: {error}\n"
              f"  please report it with what --traceback shows", file=sys.stderr)  # fmt: skip
    else:
        print(f"stpspec: {error}", file=sys.stderr)
    return 1


def _usage(message: str) -> int:
    print(f"stpspec: {message}\n  stpspec --help shows how it is used", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
