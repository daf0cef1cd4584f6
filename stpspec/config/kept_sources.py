"""Sources kept in a result: each is taken by the hash that the result recorded of it."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stpspec.errors import ResultError
from stpspec.resources import SOURCE_FOLDERS, path_inside, shipped
from stpspec.resources.trust import require_trust
from stpspec.specs.records import parsed_record
from stpspec.specs.result_files import attributes, is_result, keys_along, sha256_of, with_values

log = logging.getLogger("stpspec")


@dataclass(frozen=True)
class _Kept:
    """One source of a result, and where its recorded bytes are.

    Attributes
    ----------
    folder : Path
        Of the result.
    name : str
        Such as ``mod/NAME``.
    sha256 : str
        As recorded.
    """

    folder: Path
    name: str
    sha256: str

    @property
    def copy(self) -> Path:
        return path_inside(self.folder, self.name, of=SOURCE_FOLDERS)

    @property
    def ours(self) -> Path | None:
        """The shipped file of this name, if there is one."""
        kind, _, file = self.name.partition("/")
        path = shipped(kind) / file if kind in ("mod", "templates") else None
        return path if path is not None and path.is_file() else None

    @property
    def is_copied(self) -> bool:
        return sha256_of(self.copy) == self.sha256

    @property
    def is_ours(self) -> bool:
        return self.ours is not None and sha256_of(self.ours) == self.sha256

    def found(self) -> Path:
        """Return the file that has the recorded bytes; the shipped one first.

        Raises
        ------
        ResultError
            If none has.
        """
        now = sha256_of(self.copy)
        if self.is_ours:
            if now != self.sha256:
                _tell(f"{self.copy} {_state(now)}: the shipped {self.ours} has the recorded bytes, "
                      f"and is taken")  # fmt: skip
            assert self.ours is not None
            return self.ours
        if now != self.sha256:
            raise ResultError(
                f"{self.copy} {_state(now)}: the result was made with the file of sha256 "
                f"{self.sha256[:12]}…, here is {now[:12] + '…' if now else 'none'}, and nowhere is "
                f"one with the recorded bytes; put it back, or fit the changed one as an "
                f"experiment of its own"
            )
        if self.ours is not None:
            _tell(f"the shipped {self.ours} has changed since {self.folder} was made: its copy "
                  f"{self.name}, which has the recorded bytes, is taken")  # fmt: skip
        return self.copy


_told: set[str] = set()


def _tell(text: str) -> None:
    if text not in _told:
        _told.add(text)
        log.warning("%s", text)


def _state(sha: str) -> str:
    return "was changed" if sha else "is gone"


def as_recorded(data: dict[str, object], folder: Path) -> dict[str, object]:
    """Return the data of an experiment from a result with the sources that it was made with.

    What an override has replaced is left alone.

    Raises
    ------
    ResultError
        If a source has other bytes than those recorded, and none with these is found.
    """
    if not is_result(folder) or not isinstance(data.get("model"), dict):
        return data
    told = attributes(folder)
    hashes = _mapping(told, "sources", folder)
    kept = {name: _Kept(folder, name, sha) for name, sha in hashes.items()}
    changed = _mechanisms(data, kept)
    changed = _named_files(changed, kept, _mapping(told, "places", folder))
    _plugins(changed, kept)
    return changed


def _mapping(told: Mapping[str, str], name: str, folder: Path) -> dict[str, str]:
    return parsed_record(told.get(name, "{}"), dict[str, str], f"{folder}", "result")


def _mechanisms(data: Mapping[str, Any], kept: Mapping[str, _Kept]) -> dict[str, Any]:
    named = data["model"].get("mod")
    named = list(named) if isinstance(named, list) else []
    if any(f"mod/{entry}" not in kept for entry in named):  # an override
        return dict(data)
    taken = []
    for name, source in kept.items():
        file = name.removeprefix("mod/")
        if not name.startswith("mod/") or not (file in named or source.ours or _is_part(file)):
            continue
        if _is_part(file) and not named:
            continue
        if (found := source.found()) != source.ours and not _is_part(file):
            taken.append(str(found))
    return {**data, "model": {**data["model"], "mod": taken}}


def _is_part(file: str) -> bool:
    """Tell whether a file is one that others include."""
    return not file.endswith(".mod")


def _named_files(
    data: dict[str, Any], kept: Mapping[str, _Kept], places: Mapping[str, str]
) -> dict[str, Any]:
    """Return the data with the templates, and the files of targets, that the result recorded."""
    written = {p.replace(".written.target.", ".target."): n for p, n in places.items()}
    used = {p: n for p, n in written.items() if _value(data, p) == n.partition("/")[2]}
    # By its name a shipped file is found, where its copy is as good.
    sources = {path: kept[name] for path, name in used.items() if name in kept}
    found = {
        p: str(s.found()) for p, s in sources.items() if s.found() != s.ours or not s.is_copied
    }
    beside = [n for n in used.values() if n.startswith("templates/")]
    for name, source in kept.items():
        if name.startswith("templates/") and name not in used.values() and beside:
            source.found()
    return with_values(data, found)


def _value(data: Mapping[str, Any], path: str) -> object:
    place: Any = data
    for key in keys_along(data, path):
        try:
            place = place[key]
        except (LookupError, TypeError, ValueError):
            return None
    return place


def _plugins(data: Mapping[str, Any], kept: Mapping[str, _Kept]) -> None:
    """See that what will be imported as plug-ins, and by them, is what the result recorded."""
    names = data.get("plugins")
    named = {str(n).partition(".")[0] for n in names} if isinstance(names, list) else set[str]()
    sources = {n.removeprefix("plugins/"): s for n, s in kept.items() if n.startswith("plugins/")}
    parts = {file.partition("/")[0].removesuffix(".py") for file in sources}
    if not named & parts:  # an override
        return
    homes = {part: _home(part) for part in parts if part.isidentifier()}
    folders = [home for home in homes.values() if home is not None]
    changed = None
    for file, source in sources.items():
        top = file.partition("/")[0].removesuffix(".py")
        home = homes.get(top) or next(iter(folders), None)  # data lie beside the modules
        if home is None or sha256_of(home / file) != source.sha256:
            source.found()
            changed = changed or (top, home)
    if changed is None:
        return
    plugin, home = changed
    folder = next(iter(sources.values())).folder / "plugins"
    loaded = next((p for p in sorted(parts) if p in sys.modules and homes.get(p) != folder), None)
    if loaded is not None:
        _tell(f"the plug-in {loaded!r} of this process, from {homes.get(loaded)}, is not that of "
              f"{folder.parent}: start a new Python process to take {folder}")  # fmt: skip
    else:
        require_trust(folder / next(iter(sources)))
        sys.path.insert(0, str(folder))
        importlib.invalidate_caches()
        _tell(f"the plug-in {plugin!r} of {home} is not that of {folder.parent}: {folder}, "
              f"which has the recorded bytes, is taken")  # fmt: skip


def _home(top: str) -> Path | None:
    """Return the folder in which Python finds a module or package."""
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None or not spec.origin:
        return None
    file = Path(spec.origin)
    return file.parents[1] if file.name == "__init__.py" else file.parent
