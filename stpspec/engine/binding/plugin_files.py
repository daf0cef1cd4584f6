"""Files of plug-ins: the user's own modules that they are made of, and the data these name."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from stpspec.engine.reading import is_own
from stpspec.specs.result_files import is_result

# A line that writes a file names no data.
_WRITES = re.compile(r"""\b(?:write|save|dump|to_)\w*\(|["'][wax][bt+]*["']""")


@dataclass(frozen=True)
class _Root:
    """A module or package of the user's own that stands at the top of a folder.

    Attributes
    ----------
    folder : Path
        In which Python finds it.
    file : Path
        Of the module, or the ``__init__.py`` of the package.
    """

    folder: Path
    file: Path

    @property
    def modules(self) -> list[Path]:
        """The files of it, and of the packages within it; not what merely lies among them."""
        return [self.file] if self.file.parent == self.folder else _package(self.file.parent)


def plugin_files(names: Sequence[str]) -> dict[str, Path]:
    """Return what the plug-ins of one's own, not installed, are made of.

    That is each module, whole packages, what they import of the user's, wherever the import
    stands, and files of data beside them whose names stand in their text.

    Returns
    -------
    dict of str to Path
        Name in the folder ``plugins/`` of a result → file.
    """
    found: dict[str, Path] = {}
    waiting, seen = [n.partition(".")[0] for n in names], set[str]()
    while waiting:
        top = waiting.pop()
        if top in seen or (root := _root(top)) is None:
            continue
        seen.add(top)
        for file in root.modules:
            found[file.relative_to(root.folder).as_posix()] = file
            text = file.read_text(encoding="utf-8", errors="replace")
            waiting += _imported(text)
            data = _data(text, file, root)
            found |= {path.relative_to(root.folder).as_posix(): path for path in data}
    return dict(sorted(found.items()))


def _root(top: str) -> _Root | None:
    """Return a top-level module or package, if it is the user's own."""
    module = sys.modules.get(top)
    origin = getattr(module, "__file__", None)
    if module is None and top.isidentifier():
        try:
            spec = importlib.util.find_spec(top)
        except (ImportError, ValueError):
            return None
        origin = spec.origin if spec is not None else None
    file = Path(origin or "")
    if file.suffix != ".py" or not file.is_file() or not is_own(file.absolute()):
        return None
    file = file.absolute()
    package = file.name == "__init__.py"
    return _Root(file.parent.parent if package else file.parent, file)


def _package(folder: Path) -> list[Path]:
    files = sorted(folder.glob("*.py"))
    for inner in sorted(folder.iterdir()):
        if (inner / "__init__.py").is_file():
            files += _package(inner)
    return files


def _imported(text: str) -> Iterator[str]:
    """Return the top-level names of what a text imports; nothing of one that is no Python."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0]


def _data(text: str, file: Path, root: _Root) -> list[Path]:
    """Return the files beside a module, or in its package, whose names a line mentions."""
    lines = "\n".join(line for line in text.splitlines() if not _WRITES.search(line))
    if file.parent == root.folder:
        words = re.findall(r"""["']([^"'\n]+)["']""", lines)
        places = [
            root.folder / word for word in words if not {"\0", ".."} & {word, *Path(word).parts}
        ]
    else:
        package = root.folder / file.relative_to(root.folder).parts[0]
        places = [p for p in _visible(package) if p.name in lines]
    return [
        p for p in places if p.is_relative_to(root.folder) and p.suffix != ".py" and _is_file(p)
    ]


def _visible(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith((".", "__")):
            continue
        if not path.is_dir():
            yield path
        elif not is_result(path):  # it has copies
            yield from _visible(path)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a text, no name
        return False
