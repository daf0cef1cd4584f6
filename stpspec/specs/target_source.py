"""Sources of targets: tables, recordings and published numbers that a term names as its target."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import core_schema

from stpspec.errors import UnknownNameError
from stpspec.registry import TARGET_SOURCES, runs_nothing
from stpspec.specs.base import Spec
from stpspec.specs.protocol import Protocol
from stpspec.specs.quantities import quantities
from stpspec.specs.rule_errors import rule_error
from stpspec.specs.stimulus import Stimulus


@dataclass(frozen=True)
class Wanted:
    """What a term asks of the source of its target.

    Attributes
    ----------
    metric : str
    options : mapping of str to object
        All options of the metric, with their defaults.
    chosen : mapping of str to object
        Those that the term itself sets.
    signal : str
        What the metric reads; empty if it reads no signal.
    unit : str
        Of the values of the metric, for that signal.
    is_vector : bool
        Whether the metric has several values.
    protocol : str
        Its name, or that of one of its runs.
    runs : mapping of str to Protocol
        The runs whose values are wanted, one after the other: one, or each of ``trains``.
    stimuli : mapping of str to Stimulus
        What each of the runs does.
    scale : str or None
        Name of the free scale that the values are relative to: they then keep their own unit.
    """

    metric: str
    options: Mapping[str, Any]
    chosen: Mapping[str, Any]
    signal: str
    unit: str
    is_vector: bool
    protocol: str
    runs: Mapping[str, Protocol]
    stimuli: Mapping[str, Stimulus] = field(default_factory=dict)
    scale: str | None = None


@dataclass(frozen=True)
class TargetData:
    """What a source has for a term, in the order of the values of its metric.

    Attributes
    ----------
    target : float or list of float or None
        None in a list is a gap: it was not measured, and does not count.
    sd, n : float, list of float or None, or None
        As in a term; None where the source does not know them.
    unit : str
        Of target and sd; empty if they have none.
    options : dict of str to object
        Options of the metric that belong to these numbers, and that the term does not set.
    """

    target: float | list[float | None]
    sd: float | list[float | None] | None = None
    n: int | list[int | None] | None = None
    unit: str = ""
    sd_degrees: float | None = None
    options: dict[str, Any] = field(default_factory=dict)


class TargetSource(Spec):
    """Base of the sources of targets: in YAML a mapping with ``source`` in place of numbers.

    A source whose numbers are in files of the user calls the field that names them ``file``, a
    path or a list of paths: these are looked for next to the experiment, belong to what the
    experiment is, and are kept in its results.
    """

    source: str

    @abstractmethod
    def read(self, wanted: Wanted) -> TargetData:
        """Return the numbers that a term asks for.

        Raises
        ------
        SpecError
            With every problem; a path is that of a field of this source, or empty, and a rule says
            file, line and column.
        """


S = TypeVar("S", bound=TargetSource)


def target_source(name: str) -> Callable[[type[S]], type[S]]:
    """Register a source of targets under its name (decorator)."""
    return TARGET_SOURCES.register(name)


class SavedSource(TargetSource):
    """A source that only a plug-in knows, which is not imported to look at a result."""

    model_config = TargetSource.model_config | {"extra": "allow"}

    def read(self, wanted: Wanted) -> TargetData:
        raise NotImplementedError(self.source)


class TargetField:
    """Marks the field of a target: numbers with or without units, or a mapping with a source."""

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_before_validator_function(
            self._validated, core_schema.any_schema()
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        value = [{"type": "number"}, {"type": "string", "examples": ["2.5 ms"]}]
        items = {"anyOf": [*value, {"type": "null"}]}
        source = {
            "type": "object",
            "properties": {"source": {"enum": TARGET_SOURCES.names()}},
            "required": ["source"],
        }
        return {"anyOf": [*value, {"type": "array", "items": items}, source]}

    def _validated(self, value: object) -> object:
        if isinstance(value, TargetSource):
            return value
        if not isinstance(value, Mapping):
            return quantities(value, gaps=True)
        names = TARGET_SOURCES.names()
        name = value.get("source")
        if name is None:
            raise rule_error("missing_kind", f"needs a 'source': one of {', '.join(names)}")
        try:
            cls = TARGET_SOURCES.get(str(name))
        except UnknownNameError as error:
            if not runs_nothing():
                raise rule_error("kind", str(error)) from None
            cls = SavedSource
        return cls.model_validate(dict(value))


def named_files(target: object) -> Iterator[tuple[str, str]]:
    """Yield the field below a target, such as ``file`` or ``file.0``, and the path that it names.

    Parameters
    ----------
    target : TargetSource, or mapping as data have it
        Anything else names no file.
    """
    named: Any = None
    if isinstance(target, TargetSource):
        named = getattr(target, "file", None)
    elif isinstance(target, Mapping):
        named = target.get("file")
    if isinstance(named, str) and named:
        yield "file", named
    elif isinstance(named, Sequence) and not isinstance(named, str):
        yield from ((f"file.{k}", path) for k, path in enumerate(named) if isinstance(path, str))
