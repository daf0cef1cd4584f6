"""The words of verbs that take experiments: names, files, keys and values."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stpspec.cli.completion.fields import items, keys, values
from stpspec.cli.completion.outline import choices_of, outline
from stpspec.cli.completion.paths import paths
from stpspec.cli.verb import Candidates
from stpspec.resources import GROUPS

_FILES = (".yaml", ".yml")
_LAUNCHERS = ("basic", "joblib", "submitit_local", "submitit_slurm")


def experiment_words(
    rest: list[str], current: str, *, launcher: bool = False, parameters: bool = False
) -> Candidates:
    """Return what may stand at the cursor: experiments, paths, keys and values.

    Parameters
    ----------
    rest : list of str
        The words between the verb and the cursor's.
    current : str
        The cursor's own, as far as the cursor.
    launcher : bool
        Whether the verb can hand jobs over to a launcher.
    parameters : bool
        Whether the verb takes values of parameters.
    """
    if "=" in current and not Path(current).exists():
        return _values(rest, current)
    found = _keys(rest, current, launcher, parameters)
    if current[:1] not in ("+", "~") or current[:2] == "~/":
        found = {**_experiments(rest), **paths(current, _FILES), **found}
    return found


def _experiments(rest: Sequence[str]) -> Candidates:
    named = [w for w in rest if "=" not in w or w.startswith("experiment=")]
    return {} if named else dict.fromkeys(choices_of("experiment"), "shipped or in experiments/")


def _keys(rest: list[str], current: str, launcher: bool, parameters: bool) -> Candidates:
    sign = current[:1] if current[:1] in ("+", "~") else ""
    word = current[len(sign) :].lstrip("+")
    sign = current[: len(current) - len(word)]
    data = outline(rest)
    if "@" in word:
        named = data.get("protocols")
        there = named if isinstance(named, dict) else {}
        found = {f"protocol@protocols.{n}=": "a protocol of the group" for n in there}
        found["protocol@protocols."] = "a name of your own, then = and a protocol"
        found = {w: m for w, m in found.items() if w != word}
    else:
        parents = word.split(".")[:-1]
        start = ".".join([*parents, ""]) if parents else ""
        found = {f"{start}{key}": meaning for key, meaning in keys(data, parents).items()}
        found |= {} if parents else _at_the_top(rest, data, launcher, parameters)
    if sign == "~":  # deletes: takes no value
        return {f"~{w.rstrip('=')}": m for w, m in found.items()}
    return {sign + w: m for w, m in found.items()}


def _at_the_top(rest: list[str], data: dict, launcher: bool, parameters: bool) -> Candidates:
    found = {f"{g}=": "a file of the group" for g in GROUPS if choices_of(g)}
    found["protocol@protocols."] = "another protocol: a name of your own, = and a protocol"
    if not any(w.startswith("experiment=") for w in rest):
        found["experiment="] = "a name of `stpspec list experiments`"
    if launcher:
        found["hydra/launcher="] = "what runs the jobs of -m or of a campaign"
    if parameters:
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
