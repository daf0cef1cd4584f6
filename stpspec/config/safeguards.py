"""Safeguards of experiment files, which others may have written: what they may ask of Hydra.

Hydra can call any function (``hydra.callbacks``, ``_target_``), set the environment of jobs and
read that of the process (``${oc.env:…}``): none of it is for an experiment file. On the command
line, and in conf folders that are named there, everything is allowed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stpspec.config.errors import ConfigError
from stpspec.config.references import endless_reference
from stpspec.formatting import PASSWORD_VARIABLE, hide

RESOLVERS = ("oc.dict.keys", "oc.dict.values", "oc.select")
_VARIABLE = re.compile(r"STPSPEC_[A-Z0-9_]+")


def refuse_unsafe(data: object, file: Path) -> None:
    """Refuse what an experiment file may not ask of Hydra and OmegaConf.

    Parameters
    ----------
    data : object
        As it is written, with nothing resolved.
    file : Path

    Raises
    ------
    ConfigError
        With the line.
    """
    if not isinstance(data, dict):
        return
    hydra = data.get("hydra", {"sweeper": {"params": {}}})
    if not (_keys(hydra) <= {"sweeper"} and _keys(_of(hydra, "sweeper")) <= {"params"}):
        raise ConfigError(
            f"{_line(file, 'hydra')}: an experiment sets nothing of Hydra but "
            f"hydra.sweeper.params: the rest belongs on the command line"
        )
    for text in _texts(data.get("defaults")):
        if ".." in re.split(r"[/@:\s\\]+", text) or "@hydra" in text:
            raise ConfigError(
                f"{_line(file, text)}: a defaults list names files of the groups, none above them "
                f"and nothing of Hydra; received {text!r}"
            )
    for text in _texts(data):
        for resolver, argument, written in _resolvers(text):
            if resolver not in RESOLVERS and not (resolver == "oc.env" and _is_ours(argument)):
                raise ConfigError(
                    f"{_line(file, written)}: {written} is not for an experiment file, which "
                    f"others may have written: it may use its own fields (${{seed}}), "
                    f"{', '.join(RESOLVERS)}, and oc.env of variables that are named STPSPEC_…; "
                    f"the command line may use all: FIELD='{written}'"
                )

    if (found := endless_reference(data)) is not None:
        text, why = found
        raise ConfigError(f"{_line(file, text)}: {why}, and an experiment file may not do that")


def without_passwords(study: object) -> object:
    """Return the study of an experiment file with ``***`` for the password of its storage."""
    if isinstance(study, dict) and isinstance(study.get("storage"), str):
        return {**study, "storage": hide(study["storage"])}
    return study


def _is_ours(variable: str) -> bool:
    return _VARIABLE.fullmatch(variable) is not None and variable != PASSWORD_VARIABLE


def _keys(data: object) -> set[object]:
    return set(data) if isinstance(data, dict) else set() if data is None else {type(data)}


def _of(data: object, key: str) -> object:
    return data.get(key) if isinstance(data, dict) else None


def _texts(data: object) -> Iterator[str]:
    """Yield all texts in data, names of fields included."""
    waiting = [data]
    while waiting:
        here = waiting.pop()
        if isinstance(here, str):
            yield here
        elif isinstance(here, dict):
            waiting += [*here, *here.values()]
        elif isinstance(here, list):
            waiting += here


def _resolvers(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield name, first argument and text of each resolver that a text calls, at any depth."""
    if "${" not in text:
        return
    from omegaconf.errors import GrammarParseError
    from omegaconf.grammar.gen.OmegaConfGrammarParser import OmegaConfGrammarParser
    from omegaconf.grammar_parser import parse

    try:
        waiting: list[Any] = [parse(text)]
    except GrammarParseError:
        return  # told where it is resolved
    while waiting:
        here = waiting.pop()
        waiting += list(getattr(here, "children", None) or [])
        if isinstance(here, OmegaConfGrammarParser.InterpolationResolverContext):
            sequence = here.sequence()
            arguments = "" if sequence is None else sequence.getText()
            name: Any = here.resolverName()
            yield name.getText(), arguments.partition(",")[0], here.getText()


def _line(file: Path, text: str) -> str:
    """Return ``file:line`` of the first line that holds a text; the file where none does."""
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    plain = re.sub(r"\s", "", text)
    number = next((n for n, line in enumerate(lines, 1) if plain in re.sub(r"\s", "", line)), None)
    return f"{file}:{number}" if number else str(file)
