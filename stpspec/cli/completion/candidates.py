"""The words that may stand at the cursor, given the words before it."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from stpspec.cli.completion.fields import items, keys, values
from stpspec.cli.completion.outline import GROUPS, choices_of, outline
from stpspec.cli.words import SCHEMAS, SHELLS, SORTS, VERBS
from stpspec.resources import search_in

Candidates = dict[str, str]
"""Word → what it means. A word that ends in ``=``, ``.``, ``@`` or ``/`` can go on."""

_OF_EXPERIMENTS = ("run", "fit", "sweep", "check", "campaign")
_FILES = (".yaml", ".yml")
_LAUNCHERS = ("basic", "joblib", "submitit_local", "submitit_slurm")
_TABLES = (".csv", ".tsv", *_FILES)


def candidates(words: Sequence[str], current: str, parser: argparse.ArgumentParser) -> Candidates:
    """Return what may stand at the cursor.

    Parameters
    ----------
    words : sequence of str
        The words between ``stpspec`` and the cursor's.
    current : str
        The cursor's own, as far as the cursor.
    parser : ArgumentParser
        Knows the flags.
    """
    positional, folders, pending = _split(words, parser)
    if pending is not None:
        return _starting(_of_option(pending, current), current)
    if current.startswith("-"):
        return _starting(_flags(words, current, parser), current)
    if not positional:
        return _starting(dict(VERBS), current)
    with search_in([f for f in folders if Path(f).is_dir()]):
        return _starting(_after(positional[0], positional[1:], current), current)


def _starting(found: Candidates, current: str) -> Candidates:
    return {word: meaning for word, meaning in found.items() if word.startswith(current)}


def _after(verb: str, rest: list[str], current: str) -> Candidates:
    fixed = {"list": SORTS, "schema": SCHEMAS, "completion": SHELLS}
    if verb in fixed:
        left = [w for w in fixed[verb] if w not in rest]
        return dict.fromkeys(left if verb == "list" or not rest else [], "")
    if verb == "dashboard":
        studies = {p.stem: "study" for p in sorted(Path("stpspec-studies").glob("*.journal"))}
        return {} if rest else {**studies, **_paths(current, (".journal",))}
    if verb == "collect":
        return {} if rest else _paths(current, ())
    if verb not in _OF_EXPERIMENTS:
        return {}
    if verb == "campaign":
        if not rest:
            return _paths(current, _TABLES)
        rest = rest[1:]  # the table comes first
    if "=" in current and not Path(current).exists():
        return _values(rest, current)
    found = _keys(verb, rest, current)
    if current[:1] not in ("+", "~") or current[:2] == "~/":
        found = {**_experiments(rest), **_paths(current, _FILES), **found}
    return found


# -- flags --------------------------------------------------------------------------------------


def _split(
    words: Sequence[str], parser: argparse.ArgumentParser
) -> tuple[list[str], list[str], argparse.Action | None]:
    """Return the words that are no flags, the ``--config-dir``, and a flag that awaits a value."""
    by_name = _options(parser)
    positional: list[str] = []
    folders: list[str] = []
    pending = None
    for word in words:
        name, sign, value = word.partition("=")
        if pending is not None:
            folders += [word] if pending.dest == "config_dir" else []
            pending = None
        elif word.startswith("-"):
            action = by_name.get(name)
            if action is not None and action.nargs != 0 and not sign:
                pending = action
            elif action is not None and action.dest == "config_dir":
                folders.append(value)
        else:
            positional.append(word)
    return positional, folders, pending


def _options(parser: argparse.ArgumentParser) -> dict[str, argparse.Action]:
    return {name: action for action in parser._actions for name in action.option_strings}


def _flags(words: Sequence[str], current: str, parser: argparse.ArgumentParser) -> Candidates:
    by_name = _options(parser)
    name, sign, value = current.partition("=")
    if sign:
        action = by_name.get(name)
        found = _of_option(action, value) if action is not None else {}
        return {f"{name}={v}": meaning for v, meaning in found.items()}
    given = {by_name[w].dest for w in words if w in by_name} - {"config_dir"}
    return {n: str(a.help or "") for n, a in by_name.items() if a.dest not in given}


def _of_option(action: argparse.Action, current: str) -> Candidates:
    if action.choices:
        return dict.fromkeys(map(str, action.choices), "")
    return _paths(current, ()) if action.metavar == "DIR" else {}


# -- experiments and paths ----------------------------------------------------------------------


def _experiments(rest: Sequence[str]) -> Candidates:
    named = [w for w in rest if "=" not in w or w.startswith("experiment=")]
    return {} if named else dict.fromkeys(choices_of("experiment"), "shipped or in experiments/")


def _paths(current: str, endings: tuple[str, ...]) -> Candidates:
    """Return the folders, and the files with one of the endings, that begin like this."""
    typed, _, begin = current.rpartition("/")
    typed += "/" if "/" in current else ""
    try:
        entries = sorted(os.scandir(Path(typed or ".").expanduser()), key=lambda e: e.name)
    except OSError:
        return {}
    found = {}
    for entry in entries:
        if entry.name.startswith(".") > begin.startswith(".") or not entry.name.isprintable():
            continue
        if entry.is_dir():
            found[f"{typed}{entry.name}/"] = "folder"
        elif endings and entry.name.endswith(endings):
            found[f"{typed}{entry.name}"] = "file"
    return found


# -- key=value ----------------------------------------------------------------------------------


def _keys(verb: str, rest: list[str], current: str) -> Candidates:
    sign = current[:1] if current[:1] in ("+", "~") else ""
    word = current[len(sign) :].lstrip("+")
    sign = current[: len(current) - len(word)]
    data = outline(rest)
    if "@" in word:
        named = data.get("protocols") or {}
        found = {f"protocol@protocols.{n}=": "a protocol of the group" for n in named}
        found["protocol@protocols."] = "a name of your own, then = and a protocol"
        found = {w: m for w, m in found.items() if w != word}
    else:
        parents = word.split(".")[:-1]
        start = ".".join([*parents, ""]) if parents else ""
        found = {f"{start}{key}": meaning for key, meaning in keys(data, parents).items()}
        found |= {} if parents else _at_the_top(verb, rest, data)
    if sign == "~":  # deletes: takes no value
        return {f"~{w.rstrip('=')}": m for w, m in found.items()}
    return {sign + w: m for w, m in found.items()}


def _at_the_top(verb: str, rest: list[str], data: dict) -> Candidates:
    found = {f"{g}=": "a file of the group" for g in GROUPS if choices_of(g)}
    found["protocol@protocols."] = "another protocol: a name of your own, = and a protocol"
    if not any(w.startswith("experiment=") for w in rest):
        found["experiment="] = "a name of `stpspec list experiments`"
    if verb in ("run", "fit", "campaign"):
        found["hydra/launcher="] = "what runs the jobs of -m or of a campaign"
    if verb in ("run", "sweep"):
        found |= {f"{name}=": "parameter" for name in data.get("parameters") or {}}
    return found


def _values(rest: list[str], current: str) -> Candidates:
    key, _, text = current.partition("=")
    plain = key.lstrip("+")
    group = plain.partition("@")[0]
    data = outline(rest)
    path = plain.split(".")
    if plain == "hydra/launcher":
        choices = list(_LAUNCHERS)
    elif "@" in plain or plain in (*GROUPS, "experiment"):
        choices = choices_of(group)
    elif text.startswith("["):  # a field that is a list, or a sweep of one that is not
        choices = items(data, path) or values(data, path)
    else:
        choices = values(data, path)
    # With -m a value may be several: the last one is completed, those before it are not repeated.
    before = text[: max(text.rfind(","), text.rfind("[")) + 1]
    used = before.strip("[,").split(",")
    return {f"{key}={before}{choice}": "" for choice in choices if choice not in used}
