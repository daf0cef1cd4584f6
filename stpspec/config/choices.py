"""Answers to a name that is no choice of a group, but stands for several of them elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from stpspec.errors import unknown_name
from stpspec.resources import extra_folders, shipped

# Library, as it is named in place of a fitter → the kinds of fitters that are its own.
_LIBRARIES = {
    "optuna": ("Optuna's samplers", ("optuna",)),
    "scipy": ("SciPy's methods", ("minimize", "least_squares", "bounded")),
}


def unknown_choice(group: str, name: str, known: Iterable[str]) -> str:
    """Return why a group has no choice of a name, with the choices that the name may stand for.

    ``fitter=optuna`` names a library and ``model=gap_junction`` a kind; several choices are of it.

    Parameters
    ----------
    group, name : str
    known : iterable of str
        Choices of the group.
    """
    known = sorted(known)
    told = str(unknown_name(group, name, known))
    plain = name.lower().partition(".")[0]
    if group == "fitter" and plain in _LIBRARIES:
        of, kinds = _LIBRARIES[plain]
        meant = [choice for choice in known if _field(group, choice, "kind") in kinds]
        return f"{told} {of} are {_listed(meant)}: name one of them."
    for field in ("kind", "mechanism"):
        if meant := [c for c in known if _field(group, c, field).lower() == name.lower()]:
            return f"{told} {name} is the {field} of {_listed(meant)}."
    return told


def _field(group: str, choice: str, field: str) -> str:
    """Return a field of the file of a choice; empty where it has none."""
    for folder in (*extra_folders(), shipped("conf")):
        if (file := folder / group / f"{choice}.yaml").is_file():
            text = file.read_text(encoding="utf-8", errors="replace")
            found = re.search(rf"^{field}:\s*([\w-]+)", text, re.MULTILINE)
            return found[1] if found else ""
    return ""


def _listed(names: Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
