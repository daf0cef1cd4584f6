"""Folders in which the modules of plug-ins are looked for, those of saved results among them."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stpspec.resources import extra_folders
from stpspec.resources.trust import require_trust, result_around

_plugin_folders: list[Path] = []  # of the results that this process has loaded


def reach_plugins(names: Any, *folders: Path, trusted: bool = False) -> None:
    """Let Python find the modules that an experiment names in ``plugins``.

    What can be imported goes first; else a module is looked for in ``folders``, the current one
    and those that :func:`search_in` has added, and in ``plugins/`` in each: an installed command
    does not look into the current folder by itself, and a result keeps its plug-ins there. Those
    of a result come onto the path of Python only when they are about to be imported (``trusted``):
    there they could take the place of a module that is not installed.

    Raises
    ------
    TrustError
        If one is in a result that was neither run before nor trusted, and is to be imported.
    """
    for name in names if isinstance(names, list) else []:
        top = str(name).partition(".")[0]
        if not top.isidentifier() or top in sys.modules or importlib.util.find_spec(top):
            continue
        places = [p for f in (*folders, Path.cwd(), *extra_folders()) for p in (f, f / "plugins")]
        for place in places:
            if (place / f"{top}.py").is_file() or (place / top / "__init__.py").is_file():
                folder = result_around(place / f"{top}.py")
                if folder is not None:  # asked for where it is imported, if it ever is
                    note_plugins(folder)
                    if not trusted:
                        break
                    require_trust(place / f"{top}.py")
                sys.path.append(str(place.resolve()))
                importlib.invalidate_caches()
                break


def note_plugins(folder: Path) -> None:
    """Note the folder of a result, so that its plug-ins are found if they are imported at all.

    It does not come onto the path of Python yet.
    """
    if folder not in _plugin_folders:
        _plugin_folders.append(folder)


def reach_noted_plugins(names: Sequence[str]) -> None:
    """Let Python find modules also in the results that :func:`note_plugins` was told of."""
    if _plugin_folders:
        reach_plugins(list(names), *_plugin_folders, trusted=True)


# -- files of others ------------------------------------------------------------------------------
