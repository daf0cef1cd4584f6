"""Faults of the defaults list of an experiment file: all of them, each with its line.

Hydra stops at the first entry that it cannot use, and does not say where that is written.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from stpspec.config.locations import relative
from stpspec.errors import SpecProblem, unknown_name
from stpspec.resources import ALL_GROUPS, GROUPS, extra_folders, shipped


def defaults_problems(file: Path) -> list[SpecProblem]:
    """Return the problems of the entries ``/group@package: choice`` of a defaults list.

    Parameters
    ----------
    file : Path
        An experiment file; one that is no valid YAML has none here.
    """
    import yaml

    try:
        root = yaml.compose(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, OSError, UnicodeDecodeError):
        return []
    fields = root.value if isinstance(root, yaml.MappingNode) else []
    entries = next((v.value for k, v in fields if k.value == "defaults"), [])
    found = []
    for index, entry in enumerate(entries if isinstance(entries, list) else []):
        if not isinstance(entry, yaml.MappingNode) or len(entry.value) != 1:
            continue
        ((key, choice),) = entry.value
        if isinstance(key, yaml.ScalarNode) and isinstance(choice, yaml.ScalarNode):
            where = f"{relative(file)}:{key.start_mark.line + 1}"
            found += [
                replace(problem, path=f"defaults.{index}", where=where)
                for problem in _faults(str(key.value), choice.value)
            ]
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
        yield SpecProblem("", str(unknown_name(group, choice, groups[group])))


def _groups() -> dict[str, list[str]]:
    """Return group → its choices, in the configuration folders of the moment."""
    folders = (*extra_folders(), shipped("conf"))
    found = {g: {p.stem for f in folders for p in (f / g).glob("*.yaml")} for g in ALL_GROUPS}
    return {group: sorted(choices) for group, choices in found.items()}
