"""conf + experiments + overrides → Experiment, with file and line on every problem."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stpspec.config.defaults_list import told_by
from stpspec.config.errors import ConfigError, OverrideError, translated
from stpspec.config.located_files import project_of, with_files_located
from stpspec.config.locations import FILE, Origin, canonical_path
from stpspec.config.overrides import (
    begun_at_fields,
    check_overrides,
    entry_of_overrides,
    forced,
    leave_out_other_kinds,
)
from stpspec.config.yaml_files import document, mapping_in, relative
from stpspec.errors import SpecError, nearest, unknown_name
from stpspec.resources import (
    GROUPS,
    expanded,
    experiment_folders,
    experiments,
    extra_folders,
    search_in,
    shipped,
)
from stpspec.resources.trust import result_around
from stpspec.resources.trust import trust as trust_code
from stpspec.specs.diagnosis import examine
from stpspec.specs.experiment import Experiment
from stpspec.specs.places import by_dotted_paths
from stpspec.specs.result_files import (
    fitted_values,
)

if TYPE_CHECKING:
    from omegaconf import DictConfig


def load(
    name: str | Path | None = None, overrides: Sequence[str] | str = (), *, trust: bool = False
) -> Experiment:
    """Compose an experiment from YAML and validate it.

    Parameters
    ----------
    name : str or path, optional
        Name of an experiment (a folder in ``experiments/``), path of a YAML file, or of a folder
        with an ``experiment.yaml`` such as a saved result.
    overrides : str or sequence of str
        In Hydra's syntax: ``"protocols.train.frequency=20"``, ``"fitter=tpe"``.
    trust : bool
        Whether the code inside a saved result may be run, now and later. What was run on this
        machine before may be anyway.

    Returns
    -------
    Experiment

    Raises
    ------
    SpecError
        With every problem of the data, each with the file and line where it was written.
    ConfigError
        If the files cannot be composed.

    Examples
    --------
    >>> load("pvalb_pyr", ["protocols.train.frequency=20"]).protocols["train"].frequency
    20.0
    """
    _, file = choose(name)
    if trust and file is not None and (folder := result_around(file)) is not None:
        trust_code(folder)
    data, origin = compose(name, [overrides] if isinstance(overrides, str) else overrides)
    experiment, problems, _ = examine(data)
    if experiment is None:
        raise SpecError([p.at(origin.where(p.path)) for p in problems])
    return experiment


def compose(
    name: str | Path | None = None, overrides: Sequence[str] = ()
) -> tuple[dict[str, object], Origin]:
    """Compose the data of an experiment without validating it.

    Returns
    -------
    data : dict
    origin : Origin
        Tells where each value was written.
    """
    chosen, file = choose(name)
    overrides = [forced(o) for o in overrides]
    check_overrides(overrides)
    with sources(file, overrides), fault_named(chosen, file, overrides):
        data, origin = _composed([*chosen, *overrides], file)
    if told := entry_of_overrides(data, overrides):
        raise OverrideError(told)
    data = _begun_at_result(with_files_located(data, file), file, overrides)
    return begun_at_fields(data, overrides), origin


def hydra_setting(name: str | Path | None, overrides: Sequence[str], key: str) -> str:
    """Return a setting of Hydra's own, such as ``hydra.run.dir``, with its dates and fields.

    Parameters
    ----------
    name : str, path or None
        Of the experiment.
    overrides : sequence of str
        The one that sets it among them.
    key : str
    """
    import hydra
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import OmegaConf

    chosen, file = choose(name)
    overrides = [forced(o) for o in overrides]
    check_overrides(overrides)
    with sources(file, overrides), fault_named(chosen, file, overrides):
        words = [*chosen, *overrides, "hydra.job.name=stpspec"]
        with hydra.initialize_config_dir(str(shipped("conf")), version_base="1.3"):
            config = hydra.compose("config", words, return_hydra_config=True)
        HydraConfig.instance().set_config(config)
        try:
            value = OmegaConf.select(config, key)
        finally:
            HydraConfig.instance().cfg = None
    if not isinstance(value, str) or not value:
        raise OverrideError(f"{key} names a folder, and not {value!r}")
    return value


def _composed(words: Sequence[str], file: Path | None) -> tuple[dict[str, object], Origin]:
    import hydra

    with hydra.initialize_config_dir(str(shipped("conf")), version_base="1.3"):
        config = hydra.compose("config", list(words), return_hydra_config=True)
    return data_of(config, file)


def _begun_at_result(
    data: dict[str, object], file: Path | None, overrides: Sequence[str]
) -> dict[str, object]:
    """Let what is composed from the folder of a saved fit begin at its values.

    An override of ``fitter.start`` or of anything of a parameter goes before, and so does the
    study of an experiment, which holds all that was evaluated.
    """
    chosen = [o.lstrip("+").partition("=")[0] for o in overrides]
    if file is None or data.get("study") or "fitter.start" in chosen:
        return data
    values = fitted_values(file.parent)
    parameters = data.get("parameters")
    if not isinstance(parameters, dict):
        return data
    begun = dict(parameters)
    for name, value in values.items():
        # Where a bound is another now, the saved value may lie outside: then it is no start.
        touched = any(canonical_path(c).startswith(f"parameters.{name}") for c in chosen)
        if isinstance(begun.get(name), dict) and not touched:
            begun[name] = {**begun[name], "start": value}
    return {**data, "parameters": begun}


def choose(name: str | Path | None) -> tuple[list[str], Path | None]:
    """Return the override that selects an experiment, and its file if it was given as a path.

    Raises
    ------
    UnknownNameError
        If it is neither a path nor the name of an experiment.
    """
    if name is None:
        return [], None
    try:
        Path.cwd()
    except FileNotFoundError as error:
        raise ConfigError("the current folder was deleted: cd into one that exists") from error
    try:
        path = expanded(name)
        for candidate in (path, path / "experiment.yaml"):
            if candidate.is_file():
                if candidate.name in _OF_RESULT and (folder := result_around(candidate)):
                    raise ConfigError(f"{name} is a file of a saved result: name its folder, "
                                      f"{relative(folder)}")  # fmt: skip
                mapping_in(candidate)
                return [f"experiment={FILE}"], candidate.resolve()
        is_folder = path.is_dir()
    except (OSError, ValueError, RuntimeError):  # no name of any file, or no such user
        path, is_folder = Path(), False
    if str(name) in experiments():
        mapping_in(experiments()[str(name)])
        return [f"experiment={name}"], None
    beside = _yaml_files(path if is_folder else path.parent)
    results = [] if is_folder else _results(path.parent)
    if is_folder:
        there = f" (there: {', '.join(beside)})" if beside else ""
        raise ConfigError(
            f"{name} is a folder without experiment.yaml: name a YAML file{there}, or the folder "
            f"of one saved result"
        )
    raise unknown_name("experiment (nor a file)", str(name), [*beside, *results, *experiments()])


_OF_RESULT = ("result.nc", "simulation.nc", "sweep.nc", "summary.json")


def _results(folder: Path) -> list[str]:
    """Return the first saved results in a folder."""
    try:
        return [str(p) for p in sorted(folder.iterdir()) if (p / "experiment.yaml").is_file()][:10]
    except OSError:
        return []


def _yaml_files(folder: Path) -> list[str]:
    """Return the first YAML files of a folder, as one would write them."""
    try:
        files = sorted(p for p in folder.iterdir() if p.suffix.lower() in (".yaml", ".yml"))
    except OSError:
        return []
    return [str(file) for file in files[:10]]


def data_of(config: DictConfig, file: Path | None) -> tuple[dict[str, object], Origin]:
    """Split a composed Hydra config into the experiment's data and the origin of its values."""
    from omegaconf import OmegaConf, open_dict

    hydra_config = config.hydra if "hydra" in config else None
    if hydra_config is None:
        from hydra.core.hydra_config import HydraConfig

        hydra_config = HydraConfig.get()
    choices = {str(k): v for k, v in hydra_config.runtime.choices.items() if v is not None}
    overrides = [str(o) for o in hydra_config.overrides.task]
    config = config.copy()
    with open_dict(config):
        config.pop("hydra", None)
    data = OmegaConf.to_container(config, resolve=True, throw_on_missing=False)
    if not isinstance(data, dict):
        raise ConfigError("the configuration is not a mapping")
    data = {str(k): v for k, v in data.items()}
    data = by_dotted_paths(data)
    leave_out_other_kinds(data, overrides)
    origin = Origin(choices, overrides, file, experiments())
    if told := origin.ambiguous_number():
        raise ConfigError(told)
    return data, origin


@contextlib.contextmanager
def sources(file: Path | None, overrides: Sequence[str]) -> Iterator[None]:
    """Let Hydra find experiments, a file given by its path, and extra configuration folders."""
    from stpspec.config import hydra_plugins as hs

    groups = {m[1] for o in overrides if (m := re.match(r"^\+*(\w+)(?:\.kind)?=[^{]", o))}
    state = hs.State(
        folders=[*_own_groups(file), *(f for f in extra_folders() if f.is_dir())],
        experiments=experiment_folders(),
        file=file,
        replaced=groups & set(GROUPS),
    )
    with hs.installed(state), search_in([file.parent, *project_of(file)] if file else []):
        yield


def _own_groups(file: Path | None) -> list[Path]:
    """Return the folders ``conf/`` of the project: in the current one, and around the file."""
    ours = shipped("conf").resolve()
    places = [(f / "conf").resolve() for f in (Path.cwd(), *project_of(file))]
    return [p for p in dict.fromkeys(places) if p.is_dir() and p != ours]


@contextlib.contextmanager
def fault_named(
    chosen: Sequence[str] = (), file: Path | None = None, overrides: Sequence[str] = ()
) -> Iterator[None]:
    """Raise what cannot be composed as one readable ConfigError: an OverrideError if that is why.

    Parameters
    ----------
    chosen : sequence of str
        What selects the experiment.
    file : Path or None
    overrides : sequence of str
        The fault is theirs if everything can be composed without them.
    """
    try:
        with translated():
            yield
    except OverrideError:
        raise
    except ConfigError as error:
        if told := _of_deletion(error, chosen, file, overrides):
            raise OverrideError(told) from error
        if _is_due_to(error, chosen, file, overrides):
            raise OverrideError(str(error)) from error
        written = file or next((f for n, f in experiments().items()
                                if f"experiment={n}" in (*chosen, *overrides)), None)  # fmt: skip
        if written is not None and (told := told_by(written)):
            raise ConfigError(told) from error
        match = re.match(r"([\w.]+): \$\{", str(error))  # of an interpolation
        line = (
            document(written).lines.get(tuple(match[1].split("."))) if match and written else None
        )
        if line is not None and written is not None:
            raise ConfigError(f"{relative(written)}:{line} | {error}") from error
        raise


def _of_deletion(
    error: ConfigError, chosen: Sequence[str], file: Path | None, overrides: Sequence[str]
) -> str:
    """Return that ``~name`` names nothing, and the nearest that it may mean."""
    match = re.match(r"Could not delete from config\. '([^']+)'", str(error))
    if match is None:
        return ""
    name, rest = match[1], [o for o in overrides if not o.startswith("~")]
    with sources(file, rest):
        paths = list(_paths(_composed([*chosen, *rest], file)[0]))
    ends = [path for path in paths if path.endswith(f".{name}")]
    guess = ends[0] if ends else nearest(name, paths)
    hint = f"; did you mean '~{guess}'?" if guess else ""
    return f"~{name} deletes nothing: there is no field of this name{hint}"


def _paths(data: object, prefix: str = "") -> Iterator[str]:
    for name, value in data.items() if isinstance(data, dict) else ():
        yield f"{prefix}{name}"
        yield from _paths(value, f"{prefix}{name}.")


def _is_due_to(
    error: ConfigError, chosen: Sequence[str], file: Path | None, overrides: Sequence[str]
) -> bool:
    import yaml

    known = {f"experiment={n}" for n in experiments()}
    kept = [o for o in overrides if o.lstrip("+") in known]
    if len(kept) == len(overrides) or isinstance(error.__cause__, yaml.YAMLError):
        return False  # a file that an override names is broken
    try:
        with sources(file, kept), translated():
            _composed([*chosen, *kept], file)
    except ConfigError:
        return False
    return True
