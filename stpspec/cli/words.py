"""Words of a command line: all of them are understood before anything is done, or refused.

A shell takes a line apart at spaces, and puts something else in the place of braces, brackets,
``~`` and variables. What it leaves of a wish looks like another wish; here it is recognized.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from stpspec.cli.expansions import home_folder, set_twice
from stpspec.cli.terminal import UsageError
from stpspec.resources import ALL_GROUPS

_NUMBER = r"[-+−]?(?:\d+[.,]?\d*|[.,]\d+)(?:[eE][-+]?\d+)?"
_UNIT = re.compile(r"(?:1/)?[A-Za-zµμΩ°%][A-Za-z0-9µμΩ°%/*^.-]{0,12}")
_DASHES = "–—―−"
_QUOTES = "“”„‟‘’‚‛«»"

# Fields that are named without dots.
FIELDS = (
    *ALL_GROUPS, "protocols", "parameters", "study", "workers", "seed", "plugins", "name",
    "description", "source", "experiment",
)  # fmt: skip


@dataclass(frozen=True)
class Words:
    """The words after a verb, in their order.

    Attributes
    ----------
    paths : list of str
        Experiments, files and folders.
    overrides : list of str
    """

    paths: list[str]
    overrides: list[str]


def understood(words: Sequence[str]) -> Words:
    """Separate names and files from overrides.

    Raises
    ------
    UsageError
        If a word is neither, or two words belong together or exclude each other.
    """
    for rule in (_typeset, _torn, _spaced, _separated):
        for index in range(len(words)):
            if told := rule(words, index):
                raise UsageError(told)
    overrides = [word for word in words if is_override(word)]
    if told := set_twice(overrides):
        raise UsageError(told)
    return Words([word for word in words if not is_override(word)], overrides)


def with_named_file(words: Words) -> Words:
    """Return the words with a file that ``experiment=`` names as a file among the words.

    Raises
    ------
    UsageError
        If an experiment is named both ways.
    """
    named = [word for word in words.overrides if word.lstrip("+").startswith("experiment=")]
    if words.paths and named:
        raise UsageError(f"two experiments are named, {words.paths[0]} and {named[0]}: name one")
    file = named[0].partition("=")[2] if named else ""
    if not file or not _exists(file):
        return words
    return Words([file], [word for word in words.overrides if word not in named])


def is_override(word: str) -> bool:
    """Tell whether a word sets, adds or deletes a field."""
    return word[:1] in ("+", "~") or ("=" in word and not _exists(word))


def _exists(word: str) -> bool:
    try:
        return Path(word).expanduser().exists()
    except (OSError, ValueError, RuntimeError):  # too long a name for a file, or no such user
        return False


def _is_named(word: str) -> bool:
    from stpspec.resources import experiments

    return _exists(word) or word in experiments()


def _typeset(words: Sequence[str], index: int) -> str:
    """What a text processor has made of plain dashes and quotes."""
    word = words[index]
    if word[:1] in _DASHES and word[1:2].isalpha():
        plain = f"-{word[1:]}" if len(word) == 2 else f"--{word[1:]}"
        return f"{word} begins with a long dash, as text processors write it: write {plain}"
    value = word.partition("=")[2] if "=" in word else word
    if value[:1] and value[0] in _QUOTES:
        *others, last = _until(words, index, lambda text: text[-1] in _QUOTES)
        plain = " ".join([*others, last]).translate(dict.fromkeys(map(ord, _QUOTES)))
        return f"{value[0]} is a typographic quote, which no shell knows: write '{plain}'"
    return ""


def _torn(words: Sequence[str], index: int) -> str:
    """Brackets and quotes whose inside the shell took apart at spaces."""
    word = words[index]
    if "=" not in word or _exists(word) or index + 1 == len(words):
        return ""
    if not _is_open(word):
        return ""
    parts = _until(words, index, lambda text: not _is_open(text))
    whole = " ".join(parts)
    if len(parts) == 1 or _is_open(whole):
        return ""  # told as an override that cannot be read
    inner = whole.replace("'", "").replace('"', "")
    return f"the shell took {whole} apart at its spaces: put quotes around it: '{inner}'"


def _is_open(text: str) -> bool:
    brackets = any(text.count(a) > text.count(b) for a, b in ("[]", "{}", "()"))
    quotes = any(text.count(quote) % 2 for quote in "\"'")
    return brackets or quotes


def _until(words: Sequence[str], index: int, ends: Callable[[str], bool]) -> list[str]:
    """Return the words from one on that, put together, first end as they should; at least one."""
    for last in range(index, len(words)):
        parts = list(words[index : last + 1])
        if ends(" ".join(parts)):
            return parts
    return list(words[index : index + 1])


def _spaced(words: Sequence[str], index: int) -> str:
    """Spaces around the sign: ``U = 0.4``, ``U= 0.4``, ``U =0.4``."""
    word, after = words[index], words[index + 1] if index + 1 < len(words) else ""
    before = words[index - 1] if index else ""
    match = re.fullmatch(r"([A-Za-z_][\w.]*)(?:\s+=\s*|\s*:=\s*|\s*->\s*)(\S.*)", word)
    if match and not _exists(word):
        return f"{word}: a value is set with = alone: {_set(match[1], match[2])}"
    first, _, rest = word.partition(" ")
    if "=" in rest and "=" not in first and _is_named(first) and not _exists(word):
        return f"'{word}' is one word in quotes: leave them out: {word}"
    if word.startswith("=") and before and "=" not in before and not _is_named(before):
        value, rest = (word[1:], words[index + 1 :]) if word[1:] else (after, words[index + 2 :])
        return f"no space stands around =: write {_set(before, value, rest)}"
    if re.fullmatch(r"[^=]+=", word) and after and not (is_override(after) or _is_named(after)):
        written = _set(word[:-1], after, words[index + 2 :])
        return f"no space stands around =: write {written}"
    return ""


def _set(key: str, value: str, rest: Sequence[str] = ()) -> str:
    """Return the override of a value, with the unit that may follow as a word of its own."""
    if rest and re.fullmatch(_NUMBER, value) and _UNIT.fullmatch(rest[0]) and not _exists(rest[0]):
        value = f"{value} {rest[0]}"
    return f"'{key}={value}'" if " " in value else f"{key}={value}"


def _separated(words: Sequence[str], index: int) -> str:
    """A word that is neither an override nor anything that can be named."""
    word, after = words[index], words[index + 1] if index + 1 < len(words) else ""
    before = words[index - 1] if index else ""
    if is_override(word) or _is_named(word):
        return home_folder(word) if _exists(word) else ""
    after = "" if is_override(after) else after
    return (
        (_of_value(before, word) if is_override(before) else "")
        or _without_sign(word, after, words[index + 2 :])
        or _of_pattern(word)
    )


def _of_value(override: str, word: str) -> str:
    """What follows an override and belongs to its value: a unit, or more numbers."""
    key, _, value = override.partition("=")
    if re.fullmatch(_NUMBER, value) and _UNIT.fullmatch(word):
        point = " and a decimal point" if "," in value else ""
        return (f"{override} and {word} are two words: a value with its unit needs quotes{point}: "
                f"'{key}={value.replace(',', '.')} {word}'")  # fmt: skip
    if value and re.fullmatch(_NUMBER, word.strip("],")):
        listed = f"{value.strip('[,')},{word.strip('],')}"
        return (f"{override} and {word} are two words: several values are one word without spaces: "
                f"'{key}=[{listed}]'")  # fmt: skip
    of_texts = key.partition(".")[0] in ("name", "study", "description", "source")
    if (of_texts and re.fullmatch(r"\w+", word)) or re.search(r"[\[{(\"']", value):
        return f"{override} and {word} are two words: put quotes around: '{override} {word}'"
    return ""


def _without_sign(word: str, after: str, rest: Sequence[str]) -> str:
    """A name and its value with a colon or a space in the place of the sign."""
    match = re.fullmatch(r"([A-Za-z_][\w.]*)(?:\s*:\s*|\s+)(\S.*)", word)
    if match and not match[2].startswith(("/", "\\")):
        return f"{word}: a value is set with =: {_set(match[1], match[2], [after])}"
    is_name = re.fullmatch(r"[A-Za-z_]\w{0,15}:?", word) and re.fullmatch(rf"{_NUMBER}\S*", after)
    if after and (is_name or _is_key(word.rstrip(":"))):
        return f"{word} {after}: a value is set with =: {_set(word.rstrip(':'), after, rest)}"
    return ""


def _of_pattern(word: str) -> str:
    if re.search(r"[*?]|\[.*\]", word):
        return f"no file here matches {word}: the shell found none to put in its place"
    if re.fullmatch(rf"{_NUMBER}(\s*\S+)?", word):
        return f"{word} stands alone: a value is set with NAME={word}"
    return ""


def _is_key(word: str) -> bool:
    return word in FIELDS or bool(
        re.match(
            r"(protocols|parameters|model|recording|numerics|fitter|objective|study)\.\w", word
        )
    )
