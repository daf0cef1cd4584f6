"""Experiments of a command line: from its words to data, for the verbs that act on them."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from stpspec.cli.terminal import DONE, UsageError, complain
from stpspec.errors import SpecError, SpecProblem, StpspecError
from stpspec.formatting import presentable

if TYPE_CHECKING:
    from pathlib import Path

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
def named_experiments(arguments: argparse.Namespace) -> Iterator[tuple[list[str], list[str]]]:
    """Yield the paths and the overrides among the words; inside, ``--config-dir`` is searched.

    Raises
    ------
    UsageError
        If there is neither, or a folder of ``--config-dir`` does not exist.
    """
    from pathlib import Path

    from stpspec.resources import search_in

    missing = [d for d in arguments.config_dir if not Path(d).is_dir()]
    if missing:
        raise UsageError(f"--config-dir: no such folder: {missing[0]}")
    if not arguments.words:
        from stpspec.cli.verb import load_verb

        example, _ = load_verb(arguments.verb).examples[0]
        raise UsageError(f"{arguments.verb} what? For example: stpspec {example}")
    overrides = [word for word in arguments.words if _is_override(word)]
    paths = [word for word in arguments.words if not _is_override(word)]
    with search_in(arguments.config_dir):
        for path in paths:
            _ask_for_trust(path, trusts=arguments.trust)
        yield paths, overrides


def _ask_for_trust(path: str, *, trusts: bool) -> None:
    """Say which code of a saved result would be run, before anything is; trust it if told so.

    Raises
    ------
    TrustError
        If it was neither run before nor trusted.
    """
    from pathlib import Path

    from stpspec.resources import require_trust, result_around, trust

    place = Path(path).expanduser()
    folder = result_around(place / "experiment.yaml") or result_around(place)
    if folder is None:
        return
    if not trusts:
        require_trust(folder / "experiment.yaml")
        return
    for file in trust(folder):
        print(f"trusted: {presentable(str(file))}")


def each_experiment(
    arguments: argparse.Namespace, paths: Sequence[str], overrides: list[str], action: Action
) -> int:
    """Do something with each experiment; the errors of one do not keep the next from its turn."""
    if getattr(arguments, "out", None) and len(paths) > 1:
        raise UsageError("--out takes one result: give one PATH")
    worst = DONE
    for path in paths or [None]:
        try:
            code = action(arguments, path, overrides)
        except StpspecError as error:
            code = complain(error, arguments.traceback)
        worst = max(worst, code)
    return worst


def one_path(paths: Sequence[str]) -> str | None:
    """Return the experiment of a multirun.

    Raises
    ------
    UsageError
        If there are several.
    """
    if len(paths) > 1:
        raise UsageError("with -m, name several experiments as experiment=a,b")
    return paths[0] if paths else None


def _is_override(word: str) -> bool:
    return word[:1] in ("+", "~") or ("=" in word and not _exists(word))


def _exists(word: str) -> bool:
    from pathlib import Path

    try:
        return Path(word).exists()
    except OSError:  # too long a name for a file, as a list of values may be
        return False


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
    if data.get("model") is None:  # nothing could have such a parameter: it is a misspelled field
        return dict(fitted)
    given = {n: data.pop(n) for n in list(data) if n not in _fields()}
    return {**fitted, **given}


def validated(data: dict[str, object]) -> Experiment:
    """Return the experiment.

    Raises
    ------
    SpecError
        With every problem of it.
    """
    from stpspec.specs.experiment import Experiment

    parameters = data.get("parameters")
    for name in set(data) - _fields():
        if isinstance(parameters, dict) and name in parameters:
            rule = (
                f"{name} is a free parameter: parameters.{name}.start={data[name]} begins the fit "
                f"there; to fix it, delete ~parameters.{name} and set model.fixed.{name}"
            )
            raise SpecError([SpecProblem(name, rule)])
    return Experiment.from_data(data)


def _fields() -> set[str]:
    from stpspec.specs.experiment import Experiment

    return set(Experiment.model_fields)


@contextlib.contextmanager
def located(origin: Origin) -> Iterator[None]:
    """Say of each problem in which file and line it was written."""
    try:
        yield
    except SpecError as error:
        raise SpecError(
            [p.at(origin.where(p.path)) for p in error.problems], error.title
        ) from error


def result_folder(arguments: argparse.Namespace, name: str, verb: str) -> Path:
    """Return where the results go; find out now, not after an hour, that it cannot be written."""
    import datetime
    from pathlib import Path

    from stpspec.results.folder import writable

    if arguments.out:
        return writable(Path(arguments.out), overwrite=arguments.overwrite)
    stamp = datetime.datetime.now().strftime("%Y-%m-%d_%H-%M-%S-%f")[:-3]
    return writable(Path("stpspec-results") / name / f"{verb}_{stamp}")
