"""The words that may stand at the cursor, given the words before it."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from stpspec.cli.completion.paths import paths
from stpspec.cli.parser import CommandParser, find_verb, parser_of
from stpspec.cli.verb import Candidates, load_verb, load_verbs, verb_names
from stpspec.resources import search_in

Options = Mapping[str, argparse.Action]


def candidates(words: Sequence[str], current: str) -> Candidates:
    """Return what may stand at the cursor.

    Parameters
    ----------
    words : sequence of str
        The words between ``stpspec`` and the cursor's.
    current : str
        The cursor's own, as far as the cursor.
    """
    found = _candidates(words, current)
    return {word: meaning for word, meaning in found.items() if word.startswith(current)}


def _candidates(words: Sequence[str], current: str) -> Candidates:
    name, rest = find_verb(words)
    if name is None:
        return _before_a_verb(words, current)
    if name not in verb_names():
        return {}
    verb = load_verb(name)
    options = parser_of(name, verb).options
    positional, folders, pending = _split(rest, options)
    if pending is not None:
        return _of_option(pending, current)
    if current.startswith("-"):
        return _flags(rest, current, options)
    with search_in([f for f in folders if Path(f).is_dir()]):
        return verb.complete(positional, current)


def _before_a_verb(words: Sequence[str], current: str) -> Candidates:
    if current.startswith("-"):
        return _flags(words, current, CommandParser().options)
    return {name: verb.summary for name, verb in load_verbs().items()}


def _split(
    words: Sequence[str], options: Options
) -> tuple[list[str], list[str], argparse.Action | None]:
    """Return the words that are no flags, the ``--config-dir``, and a flag that awaits a value."""
    positional: list[str] = []
    folders: list[str] = []
    pending = None
    for word in words:
        name, sign, value = word.partition("=")
        if pending is not None:
            folders += [word] if pending.dest == "config_dir" else []
            pending = None
        elif word.startswith("-"):
            action = options.get(name)
            if action is not None and action.nargs != 0 and not sign:
                pending = action
            elif action is not None and action.dest == "config_dir":
                folders.append(value)
        else:
            positional.append(word)
    return positional, folders, pending


def _flags(words: Sequence[str], current: str, options: Options) -> Candidates:
    name, sign, value = current.partition("=")
    if sign:
        action = options.get(name)
        found = _of_option(action, value) if action is not None else {}
        return {f"{name}={v}": meaning for v, meaning in found.items()}
    given = {options[w].dest for w in words if w in options}
    return {
        name: str(action.help or "")
        for name, action in options.items()
        # One that collects values in a list may be given again.
        if action.dest not in given or isinstance(action.default, list)
    }


def _of_option(action: argparse.Action, current: str) -> Candidates:
    if action.choices:
        return dict.fromkeys(map(str, action.choices), "")
    return paths(current, ()) if action.metavar == "DIR" else {}
