"""conf + experiments + overrides → Experiment, with file and line on every problem."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from stpspec.defaults import defaults_problems
from stpspec.errors import SpecError, StpspecError, unknown_name
from stpspec.provenance import FILE, Origin
from stpspec.resources import (
    experiment_folders,
    experiments,
    reach_plugins,
    search_in,
    shipped,
)
from stpspec.spec.changes import KINDS
from stpspec.spec.experiment import Experiment, examine

log = logging.getLogger("stpspec.config")

GROUPS = ("model", "recording", "numerics", "fitter", "objective")


class ConfigError(StpspecError):
    """A configuration cannot be composed: broken YAML, an unknown group choice or override."""


class OverrideError(ConfigError):
    """An override on the command line cannot be read, or there is nothing that it can change."""

    exit_code = 2


def load(name: str | Path | None = None, overrides: Sequence[str] | str = ()) -> Experiment:
    """Compose an experiment from YAML and validate it.

    Parameters
    ----------
    name : str or path, optional
        Name of an experiment (a folder in ``experiments/``), path of a YAML file, or of a folder
        with an ``experiment.yaml`` such as a saved result.
    overrides : str or sequence of str
        In Hydra's syntax: ``"protocols.train.frequency=20"``, ``"fitter=tpe"``.

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
    data, origin = compose(name, [overrides] if isinstance(overrides, str) else overrides)
    experiment, problems, _ = examine(data)
    if experiment is None:
        raise SpecError([p.at(origin.where(p.path)) for p in problems])
    return experiment


def compose(
    name: str | Path | None = None, overrides: Sequence[str] = ()
) -> tuple[dict[str, Any], Origin]:
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
    with sources(file, overrides), readable(chosen, file, overrides):
        data, origin = _composed([*chosen, *overrides], file)
    return beside(data, file), origin


def _composed(words: Sequence[str], file: Path | None) -> tuple[dict[str, Any], Origin]:
    import hydra

    with hydra.initialize_config_dir(str(shipped("conf")), version_base="1.3"):
        config = hydra.compose("config", list(words), return_hydra_config=True)
    return data_of(config, file)


def beside(data: dict[str, Any], file: Path | None) -> dict[str, Any]:
    """Make the names of mod and template files that lie next to the experiment file absolute.

    They then mean the same files from Python and from any folder, and the sources kept with a
    saved result go before files of the same name elsewhere. Plug-ins that lie there are found too.
    """
    reach_plugins(data.get("plugins"), *([file.parent] if file is not None else []))
    model = data.get("model")
    if file is None or not isinstance(model, dict):
        return data

    def absolute(name: Any, folder: str) -> Any:
        for place in (file.parent / str(name), file.parent / folder / str(name)):
            if isinstance(name, str) and name and place.exists():
                ours = shipped(folder) / name
                same = ours.is_file() and ours.read_bytes() == place.read_bytes()
                return name if same else str(place)
        return name

    changed = dict(model)
    if isinstance(model.get("mod"), list):
        changed["mod"] = [absolute(m, "mod") for m in model["mod"]]
    for key in ("cell", "cell_2"):
        if isinstance(model.get(key), dict):
            changed[key] = {**model[key], "file": absolute(model[key].get("file"), "templates")}
    return {**data, "model": changed}


def forced(override: str) -> str:
    """Let ``field=value`` set a field that no file sets yet, as ``++field=value`` does.

    A misspelled field then reaches validation, which names the nearest one and all else that is
    wrong, where Hydra would stop at the first.
    """
    key = override.partition("=")[0]
    place, value = key.removesuffix(".kind"), override.partition("=")[2]
    if key.lstrip("+") == "study" and value[:1] not in ("", "{") and value.lower() != "null":
        return f"++study.name={value}"  # so that study.FIELD=… finds the rest of it
    if "=" not in override or key[:1] in "+~" or key.startswith("hydra."):
        return override
    named = [shipped("conf") / place / f"{v}.yaml" for v in value.split(",")]
    if place in KINDS and key != place and all(path.is_file() for path in named):
        return f"{place}={value}"  # with the settings that go with the kind
    chooses = "/" in key or "@" in key or key in (*GROUPS, "experiment")
    return override if chooses and not value.startswith("{") else f"++{override}"


def check_overrides(overrides: Sequence[str]) -> None:
    """Raise one OverrideError that names the overrides which cannot be read."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    bad = []
    for text in overrides:
        try:
            parsed = OverridesParser.create().parse_override(text)
            if not parsed.key_or_group:
                bad.append(f"the override {text!r} names no field")
        except HydraException as error:
            rule = _plain(error).partition(" expecting {")[0] or "not valid"
            key, _, value = text.lstrip("+").partition("=")
            hint = f"; if it is text, write '{key}=\"{value}\"'" if key and "[" in value[1:] else ""
            bad.append(f"the override {text.lstrip('+')!r} cannot be read: {rule}{hint}")
    if bad:
        raise OverrideError("\n  ".join(bad))


def at(data: Any, path: str) -> Any:
    """Return what composed data has at a dotted path; None if nothing."""
    for part in path.split("."):
        data = data.get(part) if isinstance(data, dict) else None
    return data


def choose(name: str | Path | None) -> tuple[list[str], Path | None]:
    """Return the override that selects an experiment, and its file if it was given as a path.

    Raises
    ------
    UnknownNameError
        If it is neither a path nor the name of an experiment.
    """
    if name is None:
        return [], None
    path = Path(name).expanduser()
    for candidate in (path, path / "experiment.yaml"):
        if candidate.is_file():
            return [f"experiment={FILE}"], candidate.resolve()
    if str(name) not in experiments():
        raise unknown_name("experiment (nor a file)", str(name), experiments())
    return [f"experiment={name}"], None


def data_of(config: Any, file: Path | None) -> tuple[dict[str, Any], Origin]:
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
    _leave_out_other_kinds(data, overrides)
    return data, Origin(choices, overrides, file, experiments())


def _leave_out_other_kinds(data: dict[str, Any], overrides: Sequence[str]) -> None:
    """Leave out what only the kind had that the command line replaces by another.

    ``recording=current_clamp`` puts another part in the place of one that was written out field by
    field; what both have in common stays.
    """
    keys = [o.lstrip("+").partition("=")[0] for o in overrides if not o.startswith("~")]
    for key in keys:
        place = key if key in KINDS else key.removesuffix(".kind") if key.endswith(".kind") else ""
        part, registry = at(data, place), KINDS.get(place.partition(".")[0])
        if (
            registry is None
            or not isinstance(part, dict)
            or part.get("kind") not in registry.names()
        ):
            continue
        mine = registry.get(part["kind"]).model_fields
        others = {f for name in registry.names() for f in registry.get(name).model_fields}
        for name in [n for n in part if n in others and n not in mine]:
            if f"{place}.{name}" not in keys:
                log.info("%s.%s is left out: %s has none", place, name, part["kind"])
                del part[name]


# -- where Hydra finds things -------------------------------------------------------------------


@contextlib.contextmanager
def sources(file: Path | None, overrides: Sequence[str]) -> Iterator[None]:
    """Let Hydra find experiments, a file given by its path, and extra configuration folders."""
    from stpspec import hydra_sources as hs
    from stpspec.resources import extra_folders

    groups = {m[1] for o in overrides if (m := re.match(r"^\+*(\w+)(?:\.kind)?=[^{]", o))}
    state = hs.State(
        folders=[f for f in extra_folders() if f.is_dir()],
        experiments=experiment_folders(),
        file=file,
        replaced=groups & set(GROUPS),
    )
    with hs.installed(state), search_in([file.parent] if file else []):
        yield


@contextlib.contextmanager
def readable(
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
        with _readable():
            yield
    except OverrideError:
        raise
    except ConfigError as error:
        if _is_due_to(error, chosen, file, overrides):
            raise OverrideError(str(error)) from error
        written = file or next((f for n, f in experiments().items()
                                if f"experiment={n}" in (*chosen, *overrides)), None)  # fmt: skip
        if written is not None and (told := _told_by(written)):
            raise ConfigError(told) from error
        raise


def _told_by(file: Path) -> str:
    """Return everything in a file that Hydra would stop at; empty if that is not known."""
    found = [str(p) for p in defaults_problems(file)]
    return "\n  ".join(filter(None, [*found, _lists_for_mappings(file)]))


# Where the groups have mappings; Hydra does not say which list it cannot merge with one.
_MAPPINGS = (*GROUPS, "protocols", "parameters", "model.cell", "model.fixed", "model.net_con",
             "fitter.budget")  # fmt: skip


def _lists_for_mappings(file: Path) -> str:
    """Return which fields of an experiment file are lists where there must be mappings."""
    import yaml

    with contextlib.suppress(yaml.YAMLError, OSError, UnicodeDecodeError):
        data = yaml.safe_load(file.read_text(encoding="utf-8"))
        origin = Origin({"experiment": FILE}, [], file, {})
        return "\n  ".join(
            f"{origin.where(path)} | {path}: expected a mapping, name: value, no list with dashes"
            for path in _MAPPINGS
            if isinstance(at(data, path), list)
        )
    return ""


def _is_due_to(
    error: ConfigError, chosen: Sequence[str], file: Path | None, overrides: Sequence[str]
) -> bool:
    import yaml

    known = {f"experiment={n}" for n in experiments()}
    kept = [o for o in overrides if o.lstrip("+") in known]
    if len(kept) == len(overrides) or isinstance(error.__cause__, yaml.YAMLError):
        return False  # a file that an override names is broken
    try:
        with sources(file, kept), _readable():
            _composed([*chosen, *kept], file)
    except ConfigError:
        return False
    return True


@contextlib.contextmanager
def _readable() -> Iterator[None]:
    """Raise what Hydra, OmegaConf and YAML raise as one readable ConfigError."""
    import yaml
    from hydra.errors import HydraException, MissingConfigException
    from omegaconf.errors import OmegaConfBaseException

    try:
        yield
    except StpspecError:
        raise
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        at = f"{mark.name}:{mark.line + 1}: " if mark else ""
        raise ConfigError(f"{at}this is not valid YAML: {error.problem or error}") from error
    except yaml.reader.ReaderError as error:  # a character that YAML does not allow
        text = Path(str(error.name)).read_text(encoding="utf-8", errors="replace")
        line = text.count("\n", 0, error.position) + 1
        rule = f"this is not valid YAML: {error.reason}: U+{error.character:04X}"
        raise ConfigError(f"{error.name}:{line}: {rule}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"this is not valid YAML: {error}") from error
    except MissingConfigException as error:
        raise ConfigError(_missing(error)) from error
    except (HydraException, OmegaConfBaseException) as error:
        text = _plain(error) or f"not valid ({type(error).__name__})"
        if text.startswith("Error merging override "):  # Hydra keeps the reason to itself
            why = str(error.__cause__ or "not valid").splitlines()[0]
            if why.startswith("Cannot merge "):
                why = "a list cannot stand where a mapping is expected, nor a mapping for a list"
            text = f"the override {text.split(' ', 3)[3].lstrip('+')!r} cannot be used: {why}"
        raise ConfigError(text) from error
    except (ValueError, TypeError, OSError, AttributeError, AssertionError) as error:
        # Hydra lets these through for files and overrides that have not the shape it expects.
        raise ConfigError(f"the configuration cannot be composed: {error}") from error


def _missing(error: Any) -> str:
    group, _, name = str(error.missing_cfg_file or "").rpartition("/")
    if not group:
        return _plain(error)
    known = [o for o in error.options or [] if not o.startswith("_")]
    if not known and not group.startswith("experiment"):
        return str(unknown_name("group", group, (*GROUPS, "protocol", "experiment")))
    text = str(unknown_name(group, name, known))
    if group.startswith("experiment"):
        text += " In the defaults list of an experiment, groups begin with a slash: /model."
    return text


def _plain(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # Hydra's hints on its own flags and search path do not help here; a field's full key does.
    noise = ("Set the env", "object_type=", "reference_type=", "Config search path", "provider=",
             "See https://hydra.cc", "^")  # fmt: skip
    return "\n  ".join(line for line in lines if not line.startswith(noise))
