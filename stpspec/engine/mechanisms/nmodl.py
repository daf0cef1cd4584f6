"""Contents of .mod files, read by NEURON's own parser and cached."""

from __future__ import annotations

import functools
import os
import re
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from stpspec.engine import nrn
from stpspec.engine.mechanisms import mod_file, syntax, tokens
from stpspec.engine.mechanisms.mod_file import ModFile
from stpspec.errors import MechanismError
from stpspec.resources import cache_folder, content_key

_NOTHING = "nothing"  # the SUFFIX of a file that declares functions for HOC, and no mechanism

_Version = tuple[Path, int, int, int]  # a file, and what tells that it has changed

# What this process has read, by the versions of a file and of what it includes.
_read: dict[tuple[_Version, ...], ModFile] = {}


def read(path: Path) -> ModFile:
    """Return what a .mod file says."""
    return read_all([path])[path]


def read_all(paths: Iterable[Path]) -> dict[Path, ModFile]:
    """Return what each of some .mod files says; those that are new are read in one process."""
    # A fit asks again and again, and to look at a file takes less than to read it.
    versions = {p: tuple(_version(f) for f in (p, *included_in(p).values())) for p in paths}
    found = {p: _read[v] for p, v in versions.items() if v in _read}
    new = [p for p in versions if p not in found]
    if new:
        found |= _read_new(new)
        _read.update({versions[p]: found[p] for p in new})
    return {p: found[p] for p in versions}


def declared_in(paths: Iterable[Path]) -> dict[str, Path]:
    """Return mechanism name → .mod file.

    A file of functions alone, ``SUFFIX nothing``, has the name of the file after ``nothing_``.

    Raises
    ------
    MechanismError
        If a file declares no mechanism, or two declare one name and differ.
    """
    found: dict[str, Path] = {}
    for path, content in read_all(paths).items():
        if not content.name:
            raise MechanismError(
                f"{path}: no SUFFIX, POINT_PROCESS or ARTIFICIAL_CELL in this file"
            )
        name = content.name
        if name == _NOTHING:
            name = f"{_NOTHING}_{re.sub(r'[^A-Za-z0-9]', '_', path.stem)}"
        other = found.setdefault(name, path)
        if other != path and content_of(other) != content_of(path):
            raise MechanismError(
                f"two files define the mechanism {name!r}, and differ: {other} and {path}; "
                f"leave one of them out, or rename the mechanism in one"
            )
    return found


def is_mechanism(path: Path) -> bool:
    """Tell whether a .mod file declares a mechanism, and not functions alone."""
    return read(path).name != _NOTHING


def contents(path: Path) -> list[bytes]:
    """Return the bytes of a .mod file and of what it includes."""
    return [p.read_bytes() for p in (path, *included_in(path).values())]


def content_of(path: Path) -> str:
    """Return the key of the bytes of a .mod file and of what it includes."""
    return content_key(*contents(path))


def included_in(path: Path) -> dict[str, Path]:
    """Return what a .mod file includes, by the name it writes, and what that includes in turn.

    It is looked for as NEURON's translator does: beside the file that includes it, beside the .mod
    file, in the folder above that, in the folders of the environment variable ``MODL_INCLUDE``. In
    a result all lie in one folder: so at last beside the .mod file under the last part of its name.
    """
    found: dict[str, Path] = {}
    waiting = [path]
    while waiting:
        including = waiting.pop()
        for name in _includes(*_version(including)):
            file = _included(name, including, path)
            if file is not None and name not in found:
                found[name] = file
                waiting.append(file)
    return found


def _included(name: str, including: Path, path: Path) -> Path | None:
    here = path.parent
    folders = [including.parent, here, here.parent]
    folders += [here / f for f in os.environ.get("MODL_INCLUDE", "").split(":") if f]
    places = [*(folder / name for folder in folders), here / Path(name).name]
    return next((p for p in places if p.is_file()), None)


def flat_name(name: str) -> str:
    """Return the name under which an included file lies beside the .mod file that includes it.

    It is the name that is written, unless that leads out of the folder.
    """
    leads_out = Path(name).is_absolute() or ".." in Path(name).parts
    return Path(name).name if leads_out else name


def flattened(path: Path) -> str:
    """Return the text of a .mod or included file, whose includes lie beside it."""
    return _with_includes(text_of(path), lambda name: f'"{flat_name(name)}"')


def expanded(path: Path) -> str:
    """Return the text of a .mod file with the text of what it includes in its place."""
    files = included_in(path)

    def within(file: Path, around: tuple[Path, ...]) -> str:
        def text(name: str) -> str:
            inner = files.get(name)
            return within(inner, (*around, file)) if inner not in (None, file, *around) else ""

        return _with_includes(text_of(file), text, begin=len("INCLUDE"))

    return within(path, ())


def _with_includes(text: str, replace: Callable[[str], str], begin: int = 0) -> str:
    """Return a text with something else in the place of each name; its ``INCLUDE`` may go, too."""
    parts, end = [], 0
    for name, start, stop in tokens.includes(text):
        word = text.rindex("INCLUDE", end, start) if begin else start
        parts += [text[end:word], replace(name)]
        end = stop
    return "".join([*parts, text[end:]])


def text_of(path: Path) -> str:
    """Return the text of a .mod file, whatever its encoding: only comments may not be ASCII."""
    return path.read_text(encoding="utf-8", errors="replace")


def _version(path: Path) -> _Version:
    now = path.stat()
    return path, now.st_mtime_ns, now.st_ctime_ns, now.st_size


@functools.lru_cache(maxsize=256)
def _includes(path: Path, *_of_what_version: int) -> tuple[str, ...]:
    text = text_of(path)
    # Almost no file includes another: its tokens take a hundred times as long as this question.
    return tuple(name for name, *_ in tokens.includes(text)) if "INCLUDE" in text else ()


def _read_new(paths: list[Path]) -> dict[Path, ModFile]:
    if not syntax.available():  # NEURON 8
        return {p: mod_file.from_words(expanded(p)) for p in paths}
    entries = {p: _entry(p) for p in paths}
    found = {p: content for p, entry in entries.items() if (content := _kept(entry)) is not None}
    trees = syntax.trees({p: expanded(p) for p in paths if p not in found})
    for path in paths:
        if path not in found:
            found[path] = _understood(trees.get(path)) or mod_file.from_words(expanded(path))
            if path in trees:  # an end of the parser's process may have had another reason
                _keep(entries[path], found[path])
    return found


def _understood(tree: syntax.Node | None) -> ModFile | None:
    try:
        return None if tree is None else mod_file.from_tree(tree)
    except (IndexError, StopIteration, ValueError):  # trees of a NEURON to come
        return None


def _entry(path: Path) -> Path:
    """Return where the cache has what a .mod file says, with what it includes."""
    parts = [path.read_bytes()]
    for name, file in included_in(path).items():
        parts += [name.encode(), file.read_bytes()]
    return cache_folder("nmodl") / f"{content_key(*parts, _edition())}.json"


@functools.cache
def _edition() -> str:
    """Return a key of what makes another value of the same file: NEURON, and our reading of it."""
    here = Path(__file__)
    modules = ("mod_file", "linear_kinetics", "sharing", "c_code", "generators", "syntax",
               "tokens", "nmodl")  # fmt: skip
    return content_key(nrn.version(), *(here.with_name(f"{m}.py").read_bytes() for m in modules))


def _kept(entry: Path) -> ModFile | None:
    try:
        return mod_file.from_json(entry.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # not there, or damaged
        return None


def _keep(entry: Path, content: ModFile) -> None:
    temporary = None
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=entry.parent)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(mod_file.to_json(content))
        Path(temporary).replace(entry)
    except OSError:  # it is read again each time; to compile tells that no cache can be kept
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
