"""A verb of the command, and where the verbs are found: in the folder ``verbs``, by file name."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, get_args

from stpspec.cli import verbs
from stpspec.errors import UnknownNameError, unknown_name

if TYPE_CHECKING:
    FlagGroup = argparse._ArgumentGroup

Candidates = dict[str, str]
"""Word → what it means. A word that ends in ``=``, ``.``, ``@`` or ``/`` can go on."""

Section = Literal["experiments", "results", "reference"]
SECTIONS: tuple[Section, ...] = get_args(Section)


def _no_candidates(_rest: list[str], _current: str) -> Candidates:
    return {}


@dataclass(frozen=True)
class Verb:
    """One verb: its help, its flags, how its words are completed, and what it does.

    A module of a verb imports what is slow to load inside its functions: ``stpspec --help`` reads
    the summaries of all verbs.

    Attributes
    ----------
    summary : str
        One line of at most 62 characters for ``stpspec --help``.
    section : Section
        Where it stands there.
    usage : str
        What may follow the verb, flags aside.
    words : dict of str to str
        What each of these is: lines of at most 59 characters, for its own help.
    text : str
        What it does: lines of at most 78 characters, for its own help.
    examples : tuple of (str, str)
        Command lines without ``stpspec``, each with what it does.
    action : callable
        ``action(arguments) -> exit code``. The arguments hold ``verb``, ``words`` and its flags.
    flags : tuple of callable
        Each adds flags to the group of an argument parser.
    complete : callable
        ``complete(words before the cursor's, the cursor's) -> candidates``, flags aside.
    """

    summary: str
    section: Section
    usage: str
    words: dict[str, str]
    text: str
    examples: tuple[tuple[str, str], ...]
    action: Callable[[argparse.Namespace], int]
    flags: tuple[Callable[[FlagGroup], object], ...] = ()
    complete: Callable[[list[str], str], Candidates] = field(default=_no_candidates)


# What people call the verbs who know other programs.
_MEANT = {
    **dict.fromkeys(("simulate", "sim", "start", "exec"), "run"),
    **dict.fromkeys(("optimize", "optimise", "optimization", "train", "tune"), "fit"),
    **dict.fromkeys(("validate", "verify", "lint", "test"), "check"),
    **dict.fromkeys(("print", "view", "cat", "config", "resolve", "info", "describe"), "show"),
    **dict.fromkeys(("scan", "grid", "vary"), "sweep"),
    **dict.fromkeys(("batch", "table"), "campaign"),
    **dict.fromkeys(("summary", "summarize", "summarise", "compare", "results"), "collect"),
    **dict.fromkeys(("ls", "names", "catalog"), "list"),
    **dict.fromkeys(("watch", "serve", "browse", "gui"), "dashboard"),
}


def verb_names() -> list[str]:
    """Return the names of all verbs, sorted; none of their modules is imported."""
    return sorted(module.name for module in pkgutil.iter_modules(verbs.__path__))


def load_verb(name: str) -> Verb:
    """Return a verb by its name.

    Raises
    ------
    UnknownNameError
        If there is none; the message names the nearest verb and all the others.
    """
    names = verb_names()
    if name not in names:
        meant = _MEANT.get(name.lower())
        hint = f"no verb is called {name!r}. Did you mean {meant!r}? Known: {', '.join(names)}."
        raise UnknownNameError(hint) if meant else unknown_name("verb", name, names)
    return importlib.import_module(f"{verbs.__name__}.{name}").VERB


def load_verbs() -> dict[str, Verb]:
    """Return name → verb of all verbs, in the order of ``stpspec --help``."""
    loaded = {name: load_verb(name) for name in verb_names()}
    return dict(sorted(loaded.items(), key=lambda item: SECTIONS.index(item[1].section)))
