"""Outline of an experiment, near enough to complete its keys: no Hydra, no validation."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from stpspec.resources import GROUPS, expanded, experiments, extra_folders, shipped

_DEFAULT = re.compile(r"^(?:override )?/?(\w+)(?:@([\w.]+))?$")
_CHOICE = re.compile(r"^\+*(\w+)(?:@([\w.]+))?$")


def choices_of(group: str) -> list[str]:
    """Return the names of the files of a conf group, also of one's own folders."""
    if group == "experiment":
        return list(experiments())
    folders = [*extra_folders(), shipped("conf")]
    names = {p.stem for f in folders for p in (f / group).glob("*.yaml")}
    return sorted(n for n in names if not n.startswith("_"))


def outline(words: Sequence[str]) -> dict[str, object]:
    """Return the data of the experiment that the words of a command line describe.

    Parameters
    ----------
    words : sequence of str
        Names, paths and overrides; of alternatives (``fitter=slsqp,tpe``) the first counts.
    """
    pairs = [w.lstrip("+").partition("=")[::2] for w in words if "=" in w and w[:1] != "~"]
    body = _read(_file(words))
    base = _read(shipped("conf") / "config.yaml")
    chosen = {**_defaults(base), **_defaults(body)}
    for group in GROUPS:
        part = body.get(group)
        if isinstance(part, dict) and "kind" in part:
            chosen.pop(group, None)  # written out in the file: no group beneath it
    for key, value in pairs:
        found = _CHOICE.match(key)
        if found and (found[1] in GROUPS or found[2]):
            chosen[found[2] or found[1]] = (found[1], _first(value))
            part = body.get(found[1])
            if isinstance(part, dict) and "kind" in part:
                body.pop(found[1])
    made: dict[str, object] = {}
    for place, (group, name) in chosen.items():
        _put(made, place, _group_file(group, name))
    made = _merged(_merged(made, base), body)
    for key, value in pairs:
        if "." in key and "@" not in key:
            _put(made, key, _parsed(_first(value)))
    made.pop("defaults", None)
    return made


def _file(words: Sequence[str]) -> Path | None:
    known = experiments()
    for word in words:
        key, sign, value = word.lstrip("+").partition("=")
        if sign and key == "experiment":
            return known.get(_first(value))
        path = expanded(word)
        if not sign and word in known and not path.is_file():
            return known[word]
        for candidate in (path, path / "experiment.yaml"):
            if candidate.is_file():
                return candidate
    return None


def _read(path: Path | None) -> dict[str, object]:
    import yaml

    if path is None:
        return {}
    try:
        # The loader in C is quicker by far, where PyYAML was built with it.
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        data = yaml.load(path.read_text(encoding="utf-8"), loader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return {}  # half-written: completes what does not depend on it
    return data if isinstance(data, dict) else {}


def _defaults(body: Mapping[str, object]) -> dict[str, tuple[str, str]]:
    """Return place → (group, name) of the defaults list of a file."""
    found = {}
    entries = body.get("defaults")
    for entry in entries if isinstance(entries, list) else []:
        for key, name in entry.items() if isinstance(entry, dict) else ():
            match = _DEFAULT.match(str(key))
            if match and isinstance(name, str) and match[1] != "experiment":
                found[match[2] or match[1]] = (match[1], name)
    return found


def _group_file(group: str, name: str) -> dict[str, object]:
    for folder in (*extra_folders(), shipped("conf")):
        if (folder / group / f"{name}.yaml").is_file():
            return _read(folder / group / f"{name}.yaml")
    return {}


def _first(value: str) -> str:
    return value.partition(",")[0]


def _parsed(text: str) -> object:
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def _put(data: dict[str, object], place: str, value: object) -> None:
    *parents, last = place.split(".")
    for part in parents:
        inner = data.get(part)
        data[part] = inner = inner if isinstance(inner, dict) else {}
        data = inner
    data[last] = value


def _merged(under: Mapping[str, object], over: Mapping[str, object]) -> dict[str, object]:
    made = dict(under)
    for key, value in over.items():
        below = made.get(key)
        if isinstance(value, dict) and isinstance(below, dict):
            value = _merged(below, value)
        made[str(key)] = value
    return made
