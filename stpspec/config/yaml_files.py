"""YAML files as text and nodes, within limits, and what is wrong with one in plain words.

Every YAML file that an experiment or a table is read from goes through :func:`document` first.
Nothing beyond the limits reaches Hydra, whose time grows with the values after expansion.
"""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stpspec.config.errors import ConfigError
from stpspec.specs.limits import DEPTH, VALUES

if TYPE_CHECKING:
    from yaml import Event, Node, YAMLError

BYTES = 1_000_000
DIGITS = 300
_SLOW = 100_000  # characters that PyYAML's own parser takes a second for

# How files begin that are taken for YAML by mistake.
_BINARY = {
    b"\x89HDF": "a netCDF or HDF5 file", b"CDF": "a netCDF file", b"PK": "a zip file, as .xlsx is",
    b"\x89PNG": "a picture", b"%PDF": "a PDF", b"\x1f\x8b": "a compressed file",
}  # fmt: skip


@dataclass(frozen=True)
class Document:
    """One YAML file.

    Attributes
    ----------
    text : str
    root : yaml.Node or None
        None for an empty file.
    lines : dict of tuple of str to int
        Path of each value → the line where it is written.
    name : str
        How messages call the file.
    """

    text: str
    root: Node | None
    lines: dict[tuple[str, ...], int]
    name: str

    @functools.cached_property
    def by_path(self) -> dict[str, int]:
        """Dotted path of each value → its line, however a name with dots in it is written."""
        return {canonical_path(".".join(path)): line for path, line in self.lines.items()}

    @functools.cached_property
    def data(self) -> object:
        """What the file says, as plain mappings, lists and values.

        Raises
        ------
        ConfigError
            If a value has a tag that makes no plain value.
        """
        import yaml

        try:
            loader = yaml.SafeLoader("")
            return None if self.root is None else loader.construct_document(self.root)
        except (yaml.YAMLError, ValueError) as error:  # a date such as 2024-02-31 is no value
            raise ConfigError(explained(error, self.text, self.name)) from error


def canonical_path(path: str) -> str:
    """Return a dotted path with its numbers as parts: ``dend[0].cm`` and ``dend.0.cm`` are one."""
    return re.sub(r"\[(\d+)\]", r".\1", path)


def document(file: Path, values: int = VALUES) -> Document:
    """Read a YAML file; one that has not changed is not read again.

    Parameters
    ----------
    file : Path
    values : int
        How many it may have, each alias counted with all that it stands for.

    Raises
    ------
    ConfigError
        If it is no text in UTF-8, no valid YAML, or beyond the limits.
    """
    try:
        state = file.stat()
    except OSError as error:
        raise ConfigError(f"{relative(file)} cannot be read: {error.strerror or error}") from error
    return _document(file.absolute(), relative(file), values, state.st_mtime_ns, state.st_size)


@functools.lru_cache(maxsize=64)
def _document(file: Path, name: str, values: int, _mtime: int, size: int) -> Document:
    if size > BYTES:
        raise ConfigError(f"{name}: a YAML file has at most {BYTES:,} bytes, and this has {size:,}")
    return parsed(text_of(file), name, values)


def parsed(text: str, name: str, values: int = VALUES) -> Document:
    """Parse YAML.

    Parameters
    ----------
    text : str
    name : str
        How messages call its file.
    values : int
        How many it may have.

    Raises
    ------
    ConfigError
        If it is no valid YAML, or beyond the limits.
    """
    import yaml

    try:
        root = _composed(text, name, getattr(yaml, "CSafeLoader", yaml.SafeLoader), values)
    except yaml.YAMLError as refused:
        # PyYAML's own parser takes more time, and says more precisely what is wrong.
        try:
            if len(text) > _SLOW:
                raise
            root = _composed(text, name, yaml.SafeLoader, values)
        except yaml.YAMLError as error:
            raise ConfigError(explained(error, text, name)) from refused
    lines: dict[tuple[str, ...], int] = {}
    if root is not None:
        _note_lines(root, (), lines)
    return Document(text, root, lines, name)


def _composed(text: str, name: str, loader: type, values: int) -> Node | None:
    import yaml

    _within_limits(yaml.parse(text, loader), name, values)
    return yaml.compose(text, loader)


def mapping_in(file: Path) -> Document:
    """Read a YAML file that holds a mapping, as an experiment is one.

    Raises
    ------
    ConfigError
        As of :func:`document`; or if it holds anything else, or nothing.
    """
    import yaml

    read = document(file)
    if isinstance(read.root, yaml.MappingNode):
        return read
    if read.root is None:
        raise ConfigError(f"{relative(file)} is empty: write model, protocols … into it")
    if file.suffix.lower() in (".csv", ".tsv"):
        raise ConfigError(
            f"{relative(file)} is a table, not an experiment: stpspec campaign {relative(file)} "
            f"EXPERIMENT fits each row, and stpspec check takes both"
        )
    line = read.root.start_mark.line + 1
    cure = "it is a list here: leave out the dashes before the names"
    if isinstance(read.root, yaml.ScalarNode):
        cure = "it is one text here: put a space after each colon"
    raise ConfigError(f"{relative(file)}:{line}: an experiment is a mapping, name: value; {cure}")


@contextlib.contextmanager
def file_named(file: Path) -> Iterator[None]:
    """Say of an error of YAML in which file it is."""
    import yaml

    try:
        yield
    except yaml.YAMLError as error:
        raise ConfigError(explained(error, document(file).text, relative(file))) from error


def text_of(file: Path) -> str:
    """Return the text of a file in UTF-8, with or without a byte-order mark.

    Raises
    ------
    ConfigError
        If it cannot be read, or is no such text.
    """
    name = relative(file)
    if file.is_dir():
        raise ConfigError(f"{name} is a folder: name the YAML file in it")
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{name} cannot be read: {error.strerror or error}") from error
    for start, what in _BINARY.items():
        if content.startswith(start):
            raise ConfigError(f"{name} is {what}: an experiment or a table is text")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        first = f"{name}:1"
        raise ConfigError(f"{first}: this is UTF-16 text, not UTF-8; save the file as UTF-8")
    if content.count(b"\0") > 1:
        raise ConfigError(f"{name} is no text: an experiment or a table is text in UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ConfigError(
            f"{name}:{line}: this is not UTF-8 text; save the file as UTF-8"
        ) from error


def _within_limits(events: Iterator[Event], name: str, values: int) -> None:
    """Count values and depth while a file is parsed, each alias as what it stands for."""
    import yaml

    sizes: dict[str, int] = {}
    open_: list[tuple[str | None, int]] = []  # anchor, and values before it
    count = documents = 0
    for event in events:
        broken = ""
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            broken = "a second document begins here (---): a file holds one" * (documents > 1)
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor in [anchor for anchor, _ in open_]:
                broken = f"*{event.anchor} stands inside of what it refers to"
            count += sizes.get(event.anchor or "", 1)
        elif isinstance(event, yaml.ScalarEvent):
            count, sizes[event.anchor or ""] = count + 1, 1
            broken = _too_long(event.value)
        elif isinstance(event, yaml.CollectionStartEvent):
            open_.append((event.anchor, count))
            count += 1
            broken = f"values lie more than {DEPTH} levels deep" * (len(open_) > DEPTH)
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_.pop()
            sizes[anchor or ""] = count - before
        if count > values:
            broken = f"more than {values:,} values up to here, each alias (*) counted as what it "
            broken += "stands for"
        if broken:
            raise ConfigError(f"{name}:{event.start_mark.line + 1}: {broken}")


def _too_long(text: str) -> str:
    if len(text) <= DIGITS or not re.fullmatch(r"[-+]?[\d_.]+", text):
        return ""
    return f"a number has at most {DIGITS} digits, not {len(text)}"


def _note_lines(node: Node, path: tuple[str, ...], lines: dict[tuple[str, ...], int]) -> None:
    import yaml

    if isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            lines[(*path, str(index))] = value.start_mark.line + 1
            _note_lines(value, (*path, str(index)), lines)
    elif isinstance(node, yaml.MappingNode):
        merged: list[Node] = []
        for key, value in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                merged += value.value if isinstance(value, yaml.SequenceNode) else [value]
                continue
            here = (*path, str(key.value))
            lines[here] = key.start_mark.line + 1
            _note_lines(value, here, lines)
        for base in merged:  # what the mapping writes itself goes before
            inner: dict[tuple[str, ...], int] = {}
            _note_lines(base, path, inner)
            for key, line in inner.items():
                lines.setdefault(key, line)


def scalars(node: Node | None) -> Iterator[tuple[str, int]]:
    """Yield each plain scalar (without quotes) as it is written, and its line."""
    import yaml

    stack, seen = [node], set()
    while stack:
        here = stack.pop()
        if here is None or id(here) in seen:
            continue
        seen.add(id(here))
        if isinstance(here, yaml.ScalarNode):
            if not here.style:
                yield here.value, here.start_mark.line + 1
        elif isinstance(here, yaml.MappingNode):
            stack += [part for pair in reversed(here.value) for part in reversed(pair)]
        else:
            stack += reversed(here.value)


_TAB = "there is a tab: indent with spaces, as many as the lines beside it"
_NO_BREAK = "there is a no-break space, as text processors write it: put plain spaces"
# What PyYAML and libyaml say → what to do about it.
_CURES = {
    r"duplicate key": "each name stands once in a mapping: rename or delete one",
    r"'\\t'.*cannot start any token|found a tab|tab character": _TAB,
    r"mapping values are not allowed": "is this line, or the one above, indented wrongly? Text "
    "with a colon in it needs quotes",
    r"could not find expected ':'": "the line at which this ends has no colon with a space after "
    "it, or a quote or bracket above is not closed",
    r"while (parsing a|scanning a) (block mapping|block collection)|<block end>|expected key":
    "is it indented as the lines beside it? What belongs together begins in the same column",
    r"unexpected end of stream.*quoted|quoted scalar": "a quote is opened here and never closed",
    r"flow (mapping|sequence)|expected ',' or|flow node": "a bracket or brace is not closed, or a "
    "comma is missing",
    r"undefined alias": "a * begins a reference to an &anchor above; text needs quotes",
    r"cannot start any token": "text that begins with this character needs quotes",
    r"constructor for the tag|tag handle|tag directive": "a ! begins a tag; text needs quotes",
}  # fmt: skip


def explained(error: YAMLError | ValueError, text: str, name: str) -> str:
    """Return what is wrong with YAML, its line, and what to do about it."""
    import yaml

    if isinstance(error, yaml.reader.ReaderError):
        line = text.count("\n", 0, _index(error, text)) + 1
        code = error.character if isinstance(error.character, int) else ord(error.character[:1])
        rule = f"{error.reason}: U+{code:04X}"
        return f"{name}:{line}: this is not valid YAML: {rule}"
    if not isinstance(error, yaml.MarkedYAMLError):
        return f"{name}: this is not valid YAML: {error}"
    mark = error.problem_mark or error.context_mark
    said = error.problem or str(error)
    opened = error.context_mark
    whole = f"{error.context or ''} {said}"
    line = mark.line + 1 if mark else 1
    if "quoted scalar" in whole and opened is not None:  # the end of the file says nothing
        line = opened.line + 1
    elif re.search(r"flow (mapping|sequence)", whole) and opened is not None:
        said += f" (opened in line {opened.line + 1})"
    written = text.splitlines()[line - 1] if 0 < line <= len(text.splitlines()) else ""
    if (
        said == "found character that cannot start any token"
        and mark
        and mark.column < len(written)
    ):
        said = f"found character {written[mark.column]!r} that cannot start any token"
    tabs = written[: len(written) - len(written.lstrip())].count("\t")
    if "${" in written and "{" in said:
        cure_of_braces = "${…} within braces or brackets needs quotes"
        return f"{name}:{line}: this is not valid YAML: {said}; {cure_of_braces}"
    cure = next((c for pattern, c in _CURES.items() if re.search(pattern, whole)), "")
    around = text.splitlines()[opened.line if opened else line - 1 : line]
    cure = _TAB if tabs else _NO_BREAK if any("\u00a0" in each for each in around) else cure
    return f"{name}:{line}: this is not valid YAML: {said}{'; ' * bool(cure)}{cure}"


def _index(error: object, text: str) -> int:
    """Return where a character stands: libyaml counts bytes, PyYAML counts characters."""
    found = re.search("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", text)
    return found.start() if found else int(getattr(error, "position", 0))


def relative(path: Path) -> str:
    """Return a path as seen from the current folder, where it lies below that."""
    with contextlib.suppress(ValueError):
        return str(path.relative_to(Path.cwd()))
    return str(path)
