"""Configuration files of SONATA: JSON with a manifest, whose variables stand for parts of paths."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from stpspec.errors import SpecError, SpecProblem, nearest
from stpspec.interop.json_files import TOO_DEEP, read_mapping

_VARIABLE = re.compile(r"\$\{?([A-Za-z_]\w*)\}?")
_LONGEST = 4096  # characters that variables may add to a text: no path is longer


class _Tables(BaseModel):
    edge_types_file: str | None = None
    edges_file: str | None = None
    node_types_file: str | None = None


class _Networks(BaseModel):
    nodes: list[_Tables] | None = None
    edges: list[_Tables] | None = None


class _Config(BaseModel):
    """The form of what is read of a configuration; all else in it may be anything."""

    manifest: dict[str, str | float] | None = None
    components: dict[str, Any] | None = None
    networks: _Networks | None = None
    connections: dict[str, Any] | list[Any] | None = None
    conditions: dict[str, Any] | None = None
    run: dict[str, Any] | None = None
    stpspec: dict[str, dict[str, Any]] | None = None


def read_config(path: Path) -> dict[str, Any]:
    """Return a configuration file with its variables replaced.

    Raises
    ------
    SpecError
        If it cannot be read, a part of it has another form than SONATA says, or a variable is not
        in the manifest, or names others in a circle or without end.
    """
    data = read_mapping(path)
    try:
        _Config.model_validate(data)
        return _with_manifest(data, path.parent.resolve())
    except ValidationError as error:
        problems = [
            SpecProblem(".".join(map(str, e["loc"])), e["msg"], e["input"]) for e in error.errors()
        ]
        raise SpecError(problems, f"{path} is not valid") from None
    except RecursionError:
        raise SpecError([SpecProblem("", f"{path} {TOO_DEEP}")]) from None


def _with_manifest(data: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return a configuration of a folder with the variables of its manifest replaced."""
    variables = _Variables(data.get("manifest") or {}, folder)

    def walked(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: v if k == "manifest" else walked(v) for k, v in value.items()}
        if isinstance(value, list):
            return [walked(v) for v in value]
        return variables.replaced_in(value) if isinstance(value, str) and "$" in value else value

    return walked(data)


class _Variables:
    """The variables of a manifest, each worked out once: they may name each other many times."""

    def __init__(self, manifest: dict[str, Any], folder: Path):
        self._written = {str(k).strip("${}"): str(v) for k, v in manifest.items()}
        self._written.setdefault("configdir", str(folder))
        self._written.setdefault("workingdir", str(Path.cwd()))
        self._values: dict[str, str] = {}

    def replaced_in(self, text: str, within: tuple[str, ...] = ()) -> str:
        """Return a text with the variables in it replaced."""
        done = _VARIABLE.sub(lambda match: self._value(match[1], text, within), text)
        if len(done) > len(text) + _LONGEST:
            rule = f"is more than {_LONGEST} characters longer once its variables are replaced"
            raise SpecError([SpecProblem("manifest", rule, text)])
        return done

    def _value(self, name: str, text: str, within: tuple[str, ...]) -> str:
        if name in within:
            circle = " → ".join([*within, name])
            rule = f"the variables of the manifest name each other: {circle}"
            raise SpecError([SpecProblem("manifest", rule)])
        if name not in self._written:
            guess = nearest(name, list(self._written))
            raise SpecError([SpecProblem("manifest", f"has no variable ${name}", text,
                                         guess and f"${guess}")])  # fmt: skip
        if name not in self._values:
            self._values[name] = self.replaced_in(self._written[name], (*within, name))
        return self._values[name]
