"""Expansions of a shell that are taken for something else: home folders, and braces.

What is returned is the message to the user; empty where the words may be meant as they are.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path


def home_folder(word: str) -> str:
    """A home folder in the place of ``~name``: the shell has a user of the name of a field."""
    if not word.startswith("/"):
        return ""
    try:
        import pwd

        users = {Path(user.pw_dir): user.pw_name for user in pwd.getpwall()}
    except (ImportError, OSError):  # Windows knows no such users
        return ""
    name = users.get(Path(word))
    if name is None or (Path(word) / "experiment.yaml").is_file():
        return ""
    return f"{word} is a home folder: if you typed ~{name} to delete a field, put it in quotes"


def set_twice(overrides: Sequence[str]) -> str:
    """Return that a field has two values: one is meant, or the shell took braces apart."""
    seen: dict[str, list[str]] = {}
    for word in overrides:
        key, sign, value = word.lstrip("+").partition("=")
        if sign and word[:1] != "~":
            seen.setdefault(key, []).append(value)
    for key, values in seen.items():
        if len(set(values)) < 2:
            continue
        words = " and ".join(f"{key}={value}" for value in values[:3])
        if all(re.match(r"\w+:", value) for value in values):
            inner = ", ".join(value.replace(":", ": ", 1) for value in values)
            return f"{words}: the shell took braces apart: put quotes around: '{key}={{{inner}}}'"
        return (f"{key} is set twice, {words}: keep one; several values, which the shell makes of "
                f"braces, are '{key}=[{','.join(values)}]' in stpspec sweep")  # fmt: skip
    return ""
