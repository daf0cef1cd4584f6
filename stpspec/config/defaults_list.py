"""Faults of the defaults list of an experiment file: all of them, each with its line.

Hydra stops at the first entry that it cannot use, and does not say where that is written.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from stpspec.config.choices import unknown_choice
from stpspec.config.errors import ConfigError
from stpspec.config.overrides import at
from stpspec.config.yaml_files import document, relative
from stpspec.errors import SpecProblem, unknown_name
from stpspec.resources import ALL_GROUPS, GROUPS, extra_folders, shipped


def told_by(file: Path) -> str:
    """Return everything in an experiment file that Hydra would stop at; empty if nothing is known.

    Parameters
    ----------
    file : Path
        One that is no valid YAML has nothing here.
    """
    try:
        data = document(file).data
    except ConfigError:
        return ""
    problems = [*defaults_problems(file), *_shapes(file, data)]
    return "\n  ".join(map(str, problems))


# Where the groups have mappings; Hydra does not say which list it cannot merge with one.
_MAPPINGS = (*GROUPS, "protocols", "parameters", "model.cell", "model.fixed", "model.net_con",
             "fitter.budget")  # fmt: skip


def _shapes(file: Path, data: object) -> Iterator[SpecProblem]:
    """Yield where a file has a list and what it is merged with a mapping, or the reverse."""
    lines = document(file).lines

    def where(path: str) -> str:
        return f"{relative(file)}:{lines.get(tuple(path.split('.')), 1)}"

    for path in _MAPPINGS:
        if isinstance(at(data, path), list):
            rule = "expected a mapping, name: value, no list with dashes"
            yield SpecProblem(path, rule, where=where(path))
    for package, chosen in _chosen(data):
        group = package.partition(".")[0]
        for path in _clashes(at(data, package), document(chosen).data, package):
            if path in _MAPPINGS:
                continue
            line = document(chosen).lines.get(tuple(path.split(".")[package.count(".") + 1 :]), 1)
            mine, theirs = ("list", "mapping")
            if not isinstance(at(data, path), list):
                mine, theirs = theirs, mine
            rule = (f"a {mine} here and a {theirs} in {relative(chosen)}:{line}, which cannot be "
                    f"merged: write the whole of {package} into this file, with its kind, and take "
                    f"/{group} out of the defaults list")  # fmt: skip
            yield SpecProblem(path, rule, where=where(path))


def _chosen(data: object) -> Iterator[tuple[str, Path]]:
    """Yield the package and the file of each choice of a defaults list."""
    entries = at(data, "defaults")
    for entry in entries if isinstance(entries, list) else ():
        for key, choice in entry.items() if isinstance(entry, dict) else ():
            target, _, package = (str(key).split() or [""])[-1].partition("@")
            group = target.strip("/")
            places = [f / group / f"{choice}.yaml" for f in (*extra_folders(), shipped("conf"))]
            file = next((place for place in places if place.is_file()), None)
            if file is not None:
                yield package or group, file


def _clashes(mine: object, theirs: object, path: str) -> Iterator[str]:
    """Yield the paths at which one has a list and the other a mapping."""
    if isinstance(mine, dict) and isinstance(theirs, dict):
        for key in mine:
            if key in theirs:
                yield from _clashes(mine[key], theirs[key], f"{path}.{key}")
    elif {type(mine), type(theirs)} == {dict, list}:
        yield path


def defaults_problems(file: Path) -> list[SpecProblem]:
    """Return the problems of the entries ``/group@package: choice`` of a defaults list.

    Parameters
    ----------
    file : Path
        An experiment file; one that is no valid YAML has none here.
    """
    import yaml

    try:
        root = document(file).root
    except ConfigError:
        return []
    fields = root.value if isinstance(root, yaml.MappingNode) else []
    listed = next((v for k, v in fields if k.value == "defaults"), None)
    entries, found, packages = (listed.value if listed is not None else []), [], set()
    overriding = ""
    if listed is not None and not isinstance(listed, yaml.SequenceNode):
        rule = "expected a list, each line with a dash: - override /model: tm_patch"
        where = f"{relative(file)}:{listed.start_mark.line + 1}"
        return [SpecProblem("defaults", rule, where=where)]
    for index, entry in enumerate(entries if isinstance(entries, list) else []):
        if isinstance(entry, yaml.ScalarNode) and entry.value.strip("/") != "_self_":
            where = f"{relative(file)}:{entry.start_mark.line + 1}"
            rule = "a group and its choice have a colon and a space between them: /group: choice"
            found.append(SpecProblem(f"defaults.{index}", rule, entry.value, where=where))
        if not isinstance(entry, yaml.MappingNode) or len(entry.value) != 1:
            continue
        ((key, choice),) = entry.value
        if isinstance(key, yaml.ScalarNode) and isinstance(choice, yaml.ScalarNode):
            where = f"{relative(file)}:{key.start_mark.line + 1}"
            package = (str(key.value).split() or [""])[-1].strip("/")
            if package in packages:
                rule = "chosen twice: leave out one of the two lines"
                found.append(SpecProblem(f"defaults.{index}", rule, package, where=where))
            packages.add(package)
            faults = list(_faults(str(key.value), choice.value))
            is_override = "override" in str(key.value).split()
            if overriding and not is_override and not faults:
                rule = f"what overrides comes last: this line belongs above {overriding!r}"
                faults.append(SpecProblem("", rule, key.value))
            overriding = overriding or (str(key.value) if is_override else "")
            found += [replace(fault, path=f"defaults.{index}", where=where) for fault in faults]
    return found


def _faults(key: str, choice: str) -> Iterator[SpecProblem]:
    words = key.split()
    target, package = (words[-1] if words else "").partition("@")[::2]
    group = target.strip("/")
    if group.startswith("hydra") or "$" in key + choice:
        return
    groups = _groups()
    if group not in groups:
        yield SpecProblem("", str(unknown_name("group", group, groups)))
        return
    if not target.startswith("/"):
        rule = f"in the defaults list of an experiment, groups begin with a slash: /{group}"
        yield SpecProblem("", rule, key)
    elif group in GROUPS and not package and "override" not in words:
        rule = f"a {group} is chosen for every experiment: this one overrides it"
        yield SpecProblem("", rule, key, f"override {target}")
    elif group == "protocol" and not package:
        yield SpecProblem("", "a protocol needs a name", key, f"/protocol@protocols.{choice}")
    if choice not in (*groups[group], "null", ""):
        yield SpecProblem("", unknown_choice(group, choice, groups[group]))


def _groups() -> dict[str, list[str]]:
    """Return group → its choices, in the configuration folders of the moment."""
    folders = (*extra_folders(), shipped("conf"))
    found = {g: {p.stem for f in folders for p in (f / g).glob("*.yaml")} for g in ALL_GROUPS}
    return {group: sorted(choices) for group, choices in found.items()}
