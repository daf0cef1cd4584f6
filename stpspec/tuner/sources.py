"""Sources of a tuner: an experiment, a saved result or a table of connections, as experiments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from stpspec.errors import TunerError
from stpspec.specs.experiment import Experiment, needed

_TABLES = (".csv", ".tsv")


def experiments_of(source: object, overrides: Sequence[str] = ()) -> dict[str, Experiment]:
    """Return the experiments that can be tuned, by name.

    Parameters
    ----------
    source : Experiment, FitResult, str, Path or mapping of str to Experiment
        A name, an experiment file, the folder of a saved result, or a table of connections, for
        whose rows ``experiment=NAME`` among the overrides is the base.
    overrides : sequence of str
        In Hydra's syntax.

    Raises
    ------
    StpspecError
        If it is not valid.
    TypeError
        If it is none of these.
    """
    from stpspec.config.compose import load
    from stpspec.results.fit_result import FitResult

    if isinstance(source, FitResult):
        return {source.experiment.name: at_values(source.experiment, source.parameters)}
    if isinstance(source, str | Path):
        if is_table(Path(source)):
            return of_table(Path(source), overrides)
        experiment = load(source, overrides)
        return {experiment.name: experiment}
    if isinstance(source, Mapping):
        for experiment in source.values():
            needed(experiment)
        if source:
            return dict(source)
    needed(source)
    assert isinstance(source, Experiment)
    return {source.name: source}


def at_values(experiment: Experiment, values: Mapping[str, float]) -> Experiment:
    """Return an experiment that begins at the values of its result."""
    return experiment.changed({f"parameters.{n}.start": v for n, v in values.items()})


def is_table(path: Path) -> bool:
    """Tell whether a file is a table of connections: by its ending, or by what is in it."""
    if path.suffix.lower() in _TABLES:
        return True
    if path.suffix.lower() not in (".yaml", ".yml") or not path.is_file():
        return False
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, OSError, UnicodeDecodeError):
        return False  # what is wrong with it is told when it is composed
    if isinstance(content, list):
        return True
    rows = content.values() if isinstance(content, dict) else ()
    fields = {"defaults", *Experiment.model_fields}
    return bool(rows) and all(isinstance(row, dict) for row in rows) and not fields & set(content)


def of_table(path: Path, overrides: Sequence[str] = ()) -> dict[str, Experiment]:
    """Return the experiment of each row of a table of connections.

    Raises
    ------
    SpecError
        With every problem of the table.
    """
    from stpspec.campaigns.plan import experiments_of_table

    base = [word.partition("=")[2] for word in overrides if _names_base(word)]
    rest = [word for word in overrides if not _names_base(word)]
    found = experiments_of_table(path, base[-1] if base else None, rest)
    if not found:
        raise TunerError(f"{path} has no connection")
    return found


def _names_base(word: str) -> bool:
    return word.lstrip("+").startswith("experiment=")
