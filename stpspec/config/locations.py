"""Locations of values: the file and line, or the override, where each was written."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from stpspec.config.errors import ConfigError
from stpspec.config.yaml_files import canonical_path, document, relative, scalars
from stpspec.resources import extra_folders, shipped
from stpspec.specs.limits import VALUES

FILE = "_file_"  # name under which a file given by its path joins the group `experiment`


class Origin:
    """Tells in which file and line, or that on the command line, a field was written.

    Hydra keeps no marks; the files it chose are read once more for theirs.
    """

    def __init__(
        self,
        choices: Mapping[str, str],
        overrides: Sequence[str],
        file: Path | None,
        experiments: Mapping[str, Path],
    ):
        self._overrides = overrides
        self._files: list[tuple[str, Path]] = []  # (package, file), the strongest first
        experiment = choices.get("experiment")
        if experiment == FILE and file is not None:
            self._files.append(("", file))
        elif experiment is not None and experiment in experiments:
            self._files.append(("", experiments[experiment]))
        for key, choice in choices.items():
            group, _, package = key.partition("@")
            if group == "experiment" or group.startswith("hydra"):
                continue
            for folder in (*extra_folders(), shipped("conf")):
                path = folder / group / f"{choice}.yaml"
                if path.is_file():
                    self._files.append((package or group, path))
                    break
        self._files.append(("", shipped("conf") / "config.yaml"))

    def knowing(self, overrides: Sequence[str]) -> Origin:
        """Return the same with further overrides, such as those that are swept."""
        made = copy.copy(self)
        made._overrides = [*self._overrides, *overrides]
        return made

    def ambiguous_number(self) -> str | None:
        """Return which number of the files YAML 1.1 reads as another one, and where."""
        found = (ambiguous_number(file) for _, file in self._files)
        return next((text for text in found if text is not None), None)

    def where(self, path: str) -> str | None:
        """Return ``file:line`` of the innermost part of a dotted path that is written anywhere."""
        keys = path.split(".") if path else []
        for depth in range(len(keys), 0, -1):
            prefix = canonical_path(".".join(keys[:depth]))
            for override in reversed(self._overrides):
                name = canonical_path(override.lstrip("+~").partition("=")[0])
                if name == prefix or (depth == len(keys) and name.startswith(f"{prefix}.")):
                    return f"command line: {override.lstrip('+')}"
            for package, file in self._files:
                line = _line(file, package, keys[:depth])
                if line is not None:
                    return f"{relative(file)}:{line}"
        package, file = self._files[0]  # of the experiment, if there is one
        return None if package else f"{relative(file)}:1"


# What YAML 1.1 reads as octal, and in base 60.
_AMBIGUOUS = re.compile(r"[-+]?(0[0-7_]+|[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?)")


def ambiguous_number(file: Path, values: int = VALUES) -> str | None:
    """Return the first number of a file that YAML 1.1 reads as another one, its line and cure."""
    read = document(file, values)
    if not re.search(r"(?<![\w.])0\d|\d:\d", read.text):  # as in nearly every file
        return None
    for written, line in scalars(read.root):
        if _AMBIGUOUS.fullmatch(written) and re.search(r"[1-9]", written):
            base = "in base 60" if ":" in written else "as octal"
            cure = "as a decimal number" if ":" in written else f"as {written.lstrip('+-0')}"
            return (f"{relative(file)}:{line}: YAML reads the number "
                    f"{written} {base}: write it {cure}, or in quotes if it is text")  # fmt: skip
    return None


def _line(file: Path, package: str, keys: Sequence[str]) -> int | None:
    prefix = package.split(".") if package else []
    if list(keys[: len(prefix)]) != prefix or len(keys) < len(prefix):
        return None
    try:
        lines = document(file).by_path
    except ConfigError:
        return None
    path = canonical_path(".".join(keys[len(prefix) :]))
    return lines.get(path, 1 if len(keys) == len(prefix) else None)
