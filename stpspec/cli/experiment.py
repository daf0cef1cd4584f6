"""Experiments of a command line: from its words to data, for the verbs that act on them."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from stpspec.cli.terminal import DONE, UsageError, complain
from stpspec.errors import SpecError, SpecProblem, StpspecError
from stpspec.formatting import presentable
from stpspec.resources import expanded

if TYPE_CHECKING:
    from stpspec.cli.saving import Place
    from stpspec.cli.words import Words
    from stpspec.config.locations import Origin
    from stpspec.specs.experiment import Experiment

WORDS = {
    "EXPERIMENT": "a name, a YAML file, or the folder of a saved result",
    "key=value": "an override in Hydra's syntax, as fitter=tpe or seed=1",
}
USAGE = "[EXPERIMENT…] [key=value…]"

Action = Callable[[argparse.Namespace, str | None, list[str]], int]
"""What a verb does with one experiment: the arguments, its path and the overrides → exit code."""


@contextlib.contextmanager
def named_experiments(arguments: argparse.Namespace) -> Iterator[Words]:
    """Yield the words, all of them understood; inside, ``--config-dir`` is searched.

    Raises
    ------
    UsageError
        If there is none, one is not understood, or a folder of ``--config-dir`` does not exist.
    """
    from pathlib import Path

    from stpspec.cli.words import understood
    from stpspec.resources import search_in

    missing = [d for d in arguments.config_dir if not Path(d).is_dir()]
    if missing:
        raise UsageError(f"--config-dir: no such folder: {missing[0]}")
    if not arguments.words:
        from stpspec.cli.verb import load_verb

        example, _ = load_verb(arguments.verb).examples[0]
        raise UsageError(f"{arguments.verb} what? For example: stpspec {example}")
    with search_in(arguments.config_dir):
        words = understood(arguments.words)
        if "trust" in arguments:  # else the verb runs nothing
            for path in words.paths:
                _ask_for_trust(path, trusts=arguments.trust)
        yield words


def _ask_for_trust(path: str, *, trusts: bool) -> None:
    """Say which code of a saved result would be run, before anything is; trust it if told so.

    Raises
    ------
    TrustError
        If it was neither run before nor trusted.
    """

    from stpspec.resources.trust import require_trust, result_around, trust

    place = expanded(path)
    folder = result_around(place / "experiment.yaml") or result_around(place)
    if folder is None:
        return
    if not trusts:
        require_trust(folder / "experiment.yaml")
        return
    for file in trust(folder):
        print(f"trusted: {presentable(str(file))}")


def each_experiment(
    arguments: argparse.Namespace,
    words: Words,
    action: Action,
    prepare: Action | None = None,
) -> int:
    """Do something with each experiment.

    Parameters
    ----------
    arguments : argparse.Namespace
    words : Words
    action : callable
        Its errors with one experiment do not keep the next from its turn.
    prepare : callable, optional
        Finds what is wrong with an experiment without simulating it. Where there are several,
        it sees all of them first, and if anything is wrong with one, nothing is done with any.
    """
    from stpspec.cli.hydra_settings import separate
    from stpspec.cli.words import with_named_file
    from stpspec.config.compose import choose

    words = with_named_file(words)
    overrides, settings = separate(words.overrides, arguments)
    if (getattr(arguments, "out", None) or settings.folder) and len(words.paths) > 1:
        flag = "--out" if settings.folder is None else settings.folder.partition("=")[0]
        raise UsageError(f"{flag} takes one result: give one PATH")
    whole = [o for o in overrides if o.lstrip("+").startswith(("experiment=", "model"))]
    if not words.paths and not whole:
        raise UsageError(
            f"no experiment is named: stpspec {arguments.verb} EXPERIMENT {' '.join(overrides)}"
        )
    paths: Sequence[str | None] = words.paths or [None]
    if len(paths) > 1 and prepare is not None:
        for path in paths:
            choose(path)
        worst = _of_each(arguments, paths, overrides, prepare)
        if worst != DONE:
            print("stpspec: nothing was simulated", file=sys.stderr)
            return worst
    if settings.folder is not None:
        arguments.out = folder_of(paths[0], overrides, settings.folder)
    return _of_each(arguments, paths, overrides, action)


def _of_each(
    arguments: argparse.Namespace, paths: Sequence[str | None], overrides: list[str], action: Action
) -> int:
    worst = DONE
    for path in paths:
        try:
            code = action(arguments, path, overrides)
        except StpspecError as error:
            code = complain(error, arguments.traceback)
        worst = max(worst, code)
    return worst


def folder_of(path: str | None, overrides: Sequence[str], setting: str) -> str:
    """Return the folder that Hydra's setting names, with dates and fields filled in."""
    from stpspec.config.compose import hydra_setting

    key = setting.lstrip("+").partition("=")[0]
    return hydra_setting(path, [*overrides, f"{key}={setting.partition('=')[2]}"], key)


def one_path(words: Words) -> tuple[str | None, list[str]]:
    """Return the experiment of a multirun, and the overrides.

    Raises
    ------
    UsageError
        If there are several.
    """
    from stpspec.cli.words import with_named_file

    words = with_named_file(words)
    paths = words.paths
    if len(paths) > 1:
        raise UsageError("with -m, name several experiments as experiment=a,b")
    return (paths[0] if paths else None), words.overrides


def table_and_base(words: Words) -> tuple[str, str | None, list[str]]:
    """Return the table of a campaign, the experiment that its rows begin with, and the overrides.

    Raises
    ------
    UsageError
        If there are more of either, or no table.
    """
    from pathlib import Path

    from stpspec.campaigns.table import is_table

    named = [word for word in words.overrides if word.lstrip("+").startswith("experiment=")]
    if not 1 <= len(words.paths) <= 2 - bool(named):
        raise UsageError("campaign takes a table and one experiment: TABLE experiment=pvalb_pyr")
    for path in words.paths[:1]:
        if path.endswith((".yaml", ".yml")) and Path(path).is_file() and not is_table(path):
            other = words.paths[1] if len(words.paths) > 1 else "TABLE"
            raise UsageError(f"{path} is an experiment, and the table comes first: {other} {path}")
    rest = [word for word in words.overrides if word not in named]
    bases = [*words.paths[1:], *(word.partition("=")[2] for word in named[-1:])]
    return words.paths[0], bases[0] if bases else None, rest


def ready(arguments: argparse.Namespace, path: str | None, overrides: list[str]) -> int:
    """Find all that keeps an experiment from being simulated, down to its mechanism."""
    from stpspec.config.compose import compose
    from stpspec.config.sweep_overrides import list_overrides
    from stpspec.engine.binding.bind import bind
    from stpspec.engine.candidates import candidates_of

    if arguments.verb == "sweep":
        overrides = list_overrides(path, overrides)[1]
    data, origin = compose(path, overrides)
    values = pop_values(data, fitted_values(path)) if arguments.verb != "fit" else {}
    with located(origin, data):
        experiment = validated(data)
        candidates_of(bind(experiment), values)
    return DONE


def fitted_values(path: str | None) -> dict[str, float]:
    """Return the parameters of a saved result, when that is what the path names.

    Raises
    ------
    StpspecError
        If its summary is damaged.
    """
    from stpspec.config.compose import choose
    from stpspec.specs import result_files

    _, file = choose(path)
    return {} if file is None else result_files.fitted_values(file.parent)


def pop_values(data: dict[str, object], fitted: dict[str, float]) -> dict[str, object]:
    """Take the parameter values of the command line out of the data; return fitted and given."""
    from stpspec.specs.places import flat

    if data.get("model") is None:  # nothing could have such a parameter: it is a misspelled field
        return dict(fitted)
    given = flat({n: data.pop(n) for n in list(data) if n not in _fields()})
    return {**fitted, **given}


def validated(data: dict[str, object]) -> Experiment:
    """Return the experiment.

    Raises
    ------
    SpecError
        With every problem of it.
    """
    from stpspec.specs.experiment import Experiment
    from stpspec.specs.places import field_of, flat

    parameters = data.get("parameters")
    others = flat({n: data[n] for n in data if n not in _fields()})
    for name, value in others.items():
        if isinstance(parameters, dict) and name in parameters:
            rule = (
                f"{name} is a free parameter: parameters.{name}.start={value} begins the fit "
                f"there; to fix it, delete ~parameters.{name} and set {field_of(name)}"
            )
            raise SpecError([SpecProblem(name, rule)])
    return Experiment.from_data(data)


def _fields() -> set[str]:
    from stpspec.specs.experiment import Experiment

    return set(Experiment.model_fields)


@contextlib.contextmanager
def located(origin: Origin, data: Mapping[str, object] | None = None) -> Iterator[None]:
    """Say of each problem in which file and line it was written.

    Parameters
    ----------
    origin : Origin
    data : mapping, optional
        Where a name that is no parameter may be that of a field.
    """
    from stpspec.specs.diagnosis import field_called

    def meant(problem: SpecProblem) -> SpecProblem:
        if problem.received != problem.path or problem.nearest or data is None:
            return problem
        return replace(problem, nearest=field_called(problem.path, data))

    try:
        yield
    except SpecError as error:
        raise SpecError(
            [meant(p).at(origin.where(p.path)) for p in error.problems], error.title
        ) from error


def result_place(arguments: argparse.Namespace, name: str, verb: str) -> Place:
    """Return where the results go; find out now, not after an hour, that it cannot be written."""
    import datetime
    from pathlib import Path

    from stpspec.cli.saving import Place
    from stpspec.results.folder import identity, writable

    if arguments.out:
        folder = writable(Path(arguments.out), overwrite=arguments.overwrite)
        return Place(folder, identity(folder) if arguments.overwrite else None)
    stamp = datetime.datetime.now().strftime("%Y-%m-%d_%H-%M-%S-%f")[:-3]
    return Place(writable(Path("stpspec-results") / name / f"{verb}_{stamp}"))
