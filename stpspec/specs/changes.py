"""Changes of the fields of a spec, by their dotted paths."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from stpspec.errors import SpecProblem, UnknownNameError, nearest
from stpspec.registry import FITTERS, MODELS, PROTOCOLS, RECORDINGS
from stpspec.specs.base import Data, Spec
from stpspec.specs.places import HEADS, canonical

# Mappings whose keys may be dotted paths: of parameters beyond the mechanism.
_OF_PARAMETERS = (["parameters"], ["model", "fixed"])

# Of each part of an experiment that has kinds: where they are registered.
KINDS = {
    "model": MODELS, "recording": RECORDINGS, "protocols": PROTOCOLS, "fitter": FITTERS,
}  # fmt: skip


def changed_data(spec: Spec, changes: Mapping[str, object]) -> tuple[Data, list[SpecProblem]]:
    """Return the data of a spec with some fields replaced, and the paths that lead nowhere.

    Parameters
    ----------
    spec : Spec
    changes : mapping of str to object
        Dotted path → value. A path into a mapping (``protocols``, ``model.fixed`` …) may end in
        a new name. The name of a kind stands for the part itself.
    """
    data = spec.model_dump(mode="json")
    parts: dict[str, Spec] = {}
    problems = overlaps(changes.items())
    if problems:
        return data, problems
    changes = {_kind_of(path, value): value for path, value in changes.items()}
    # Another kind has other fields: those of the new one can be named in the same call.
    kinds = {path: value for path, value in changes.items()
             if path.endswith(".kind") and _is_part(path.removesuffix(".kind"))}  # fmt: skip
    for path, kind in kinds.items():
        problem = _missing(spec, parts, path) or _exchange(spec, parts, path, kind)
        if problem is not None:
            problems.append(problem)
    for path, part in parts.items():
        _put(data, steps(spec, path), part.model_dump(mode="json", warnings=False))
    for path, value in changes.items():
        if path in kinds:
            continue
        problem = _missing(spec, parts, path)
        if problem is None:
            _put(data, steps(spec, path, parts), _plain(value))
        else:
            problems.append(problem)
    return data, problems


def overlaps(changes: Iterable[tuple[str, object]]) -> list[SpecProblem]:
    """Return a problem for each change that is made twice, or lies in another one.

    Which of the two were to hold depended on their order, and a part of a wish were lost.

    Parameters
    ----------
    changes : iterable of (str, object)
        Dotted path → value.
    """
    written: dict[tuple[str, ...], str] = {}
    problems = []
    for path, value in changes:
        names = tuple(re.sub(r"\[(\d+)\]", r".\1", _kind_of(path, value)).split("."))
        if names in written:
            problems.append(SpecProblem(path, f"given twice, also as {written[names]}"))
        written[names] = path
    for names, path in written.items():
        for whole in (written[names[:n]] for n in range(1, len(names)) if names[:n] in written):
            rule = f"lies in {whole}, which is changed as a whole beside it: put it in there"
            problems.append(SpecProblem(path, rule))
            break
    return problems


def _kind_of(path: str, value: object) -> str:
    """Return the path of the kind where a value names only that: ``recording=current_clamp``."""
    return f"{path}.kind" if isinstance(value, str) and _is_part(path) else path


def _is_part(path: str) -> bool:
    """Tell whether a path is that of a part which has a kind; a parameter may be called kind."""
    first, *names = path.split(".")
    return first in KINDS and len(names) == (first == "protocols")


def _plain(value: object) -> object:
    """Return a value as JSON has it: specs, and numbers and arrays of numpy, are none."""
    if isinstance(value, Spec):
        return value.model_dump(mode="json")
    listed = getattr(value, "tolist", None)
    return value if listed is None else listed()


def missing_field(spec: Spec, path: str) -> SpecProblem | None:
    """Return the problem if a dotted path leads to no field of a spec."""
    return _missing(spec, {}, path)


def _missing(spec: Spec, parts: Mapping[str, Spec], path: str) -> SpecProblem | None:
    place: object = spec
    names = steps(spec, path, parts)
    for depth, name in enumerate(names):
        names_here = _names(place)
        is_new = isinstance(place, dict) and depth == len(names) - 1 and name != ""
        if name not in names_here and not is_new:
            if place is None:
                rule = f"{'.'.join(names[:depth])} is not set: give the whole of it"
                return SpecProblem(path, rule)
            rule = f"no such field; valid here: {', '.join(names_here) or 'nothing'}"
            return SpecProblem(path, rule, name, nearest(name, names_here))
        place = parts.get(".".join(names[: depth + 1])) or inside(place, name)
    return None


def steps(spec: Spec, path: str, parts: Mapping[str, Spec] | None = None) -> list[str]:
    """Return the names along a dotted path; a name in a mapping may have dots itself.

    Parameters
    ----------
    spec : Spec
    path : str
        Such as ``parameters.net_con.delay.max``, of three names.
    parts : mapping of str to Spec, optional
        By their paths, what stands in the place of parts of the spec.
    """
    place: object = spec
    names, keys = path.split("."), []
    while names:
        n = 1
        if isinstance(place, dict):
            sizes = range(len(names), 0, -1)
            n = next((k for k in sizes if canonical(".".join(names[:k])) in place), 1)
            is_new = canonical(".".join(names[:n])) not in place
            if is_new and keys in _OF_PARAMETERS and names[0] in HEADS:
                n = len(names)
        keys.append(canonical(".".join(names[:n])))
        names = names[n:]
        known = (parts or {}).get(".".join(keys))
        try:
            place = inside(place, keys[-1]) if known is None else known
        except (KeyError, IndexError, ValueError, AssertionError):
            place = None
    return keys


def _names(place: object) -> list[str]:
    if isinstance(place, Spec):
        return list(type(place).model_fields)
    if isinstance(place, dict):
        return [str(name) for name in place]
    return [str(i) for i in range(len(place))] if isinstance(place, list) else []


def inside(place: object, name: str) -> object:
    """Return what a spec, a mapping or a list has under a name; None if a spec has nothing."""
    if isinstance(place, Spec):
        return getattr(place, name, None)
    if isinstance(place, list):
        return place[int(name)]
    assert isinstance(place, Mapping)  # nothing else has names inside
    return place.get(name)


def _exchange(spec: Spec, parts: dict[str, Spec], path: str, kind: object) -> SpecProblem | None:
    """Put a part of another kind in the place of one; both may have fields in common."""
    where = path.removesuffix(".kind")
    old: object = spec
    for name in where.split("."):
        old = inside(old, name)
    try:
        new = KINDS[where.partition(".")[0]].get(str(kind))
    except UnknownNameError as error:
        return SpecProblem(path, str(error))
    if isinstance(old, Spec) and type(old) is not new:
        parts[where] = new.model_construct(**{**_chosen(old, new), "kind": kind})
    return None


def _chosen(old: Spec, new: type[Spec]) -> dict[str, object]:
    """Return what was chosen in the old part and the new kind has too."""
    return {
        name: getattr(old, name)
        for name, field in type(old).model_fields.items()
        if name in new.model_fields
        and getattr(old, name) != field.get_default(call_default_factory=True)
    }


def _put(data: Data, keys: Sequence[str], value: object) -> None:
    *parents, last = keys
    place: object = data
    for name in parents:
        place = inside(place, name)
    if isinstance(place, list):
        place[int(last)] = value
    else:
        assert isinstance(place, dict)
        place[last] = value
