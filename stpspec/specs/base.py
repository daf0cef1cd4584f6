"""The frozen base of every spec, and the dispatch of ``kind`` to a registered class."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Self, dataclass_transform, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    ModelWrapValidatorHandler,
    PrivateAttr,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails, InitErrorDetails, core_schema

from stpspec.errors import ProblemKind, SpecError, SpecProblem, UnknownNameError, nearest
from stpspec.registry import Registry, runs_nothing
from stpspec.specs.rule_errors import NEAREST, RULE, rule_error

# A part of an experiment as JSON has it; what is inside depends on the kinds that were chosen.
Data = dict[str, Any]


# Only for who checks types: with fields that cannot be assigned, a subclass may narrow that of its
# base (``kind: Literal["train"]``), and its author need not say ``frozen=True`` again.
@dataclass_transform(
    kw_only_default=True, frozen_default=True, field_specifiers=(Field, PrivateAttr)
)
class SpecType(type(BaseModel)):
    """The type of spec classes: every one of them is frozen."""

    __hash__ = type.__hash__  # said again, as pyright takes it to be a dataclass itself


class Spec(BaseModel, metaclass=SpecType):
    """Base of every spec: frozen, no unknown fields, finite numbers, canonical JSON."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True
    )

    @model_validator(mode="wrap")
    @classmethod
    def _name_the_nearest_field(
        cls, data: object, handler: ModelWrapValidatorHandler[Self]
    ) -> Self:
        try:
            return handler(data)
        except ValidationError as error:
            raise ValidationError.from_exception_data(
                error.title, [_reword(cls, e) for e in error.errors(include_url=False)]
            ) from None

    @property
    def digest(self) -> str:
        """sha256 of the canonical JSON of this spec (str, 64 hexadecimal digits)."""
        return hashlib.sha256(canonical_json(self.model_dump(mode="json")).encode()).hexdigest()

    def __repr_args__(self) -> Iterator[tuple[str, object]]:
        """What is set, for ``repr``; the kind is the name of the class."""
        for name in type(self).model_fields:
            value = getattr(self, name, None)
            if name != "kind" and value not in (None, "", [], {}):
                yield name, value

    def __str__(self) -> str:
        return repr(self)

    def __setattr__(self, name: str, value: object) -> None:
        rule = "a spec is frozen: experiment.changed({'path.of.field': value}) makes a changed copy"
        guess = "" if name in type(self).model_fields else nearest(name, type(self).model_fields)
        raise SpecError(
            [SpecProblem(name, rule, value, guess)],
            f"{type(self).__name__} is not changed in place",
        )

    def __hash__(self) -> int:
        return hash(self.digest)

    def copy_with(self, **changes: object) -> Self:
        """Return a validated copy with some fields replaced.

        Raises
        ------
        pydantic.ValidationError
            If the changed spec breaks a rule.
        """
        return type(self).model_validate(self.model_dump() | changes)


def canonical_json(data: object) -> str:
    """Return the one JSON text of ``data``: sorted keys, no spaces."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _reword(cls: type[BaseModel], error: ErrorDetails) -> InitErrorDetails:
    kind, message, guess = _parts(error)
    name = str(error["loc"][-1]) if error["loc"] else ""
    if kind == "extra_forbidden" and name[:1].isdigit() and error["input"] is None:
        reworded = rule_error("rule", _after_comma(name))
        return InitErrorDetails(type=reworded, loc=error["loc"], input=error["input"])
    before, colon, after = name.partition(":")
    if kind == "extra_forbidden" and colon and error["input"] is None:
        reworded = rule_error("rule", f"a colon needs a space after it: {before}: {after}")
        return InitErrorDetails(type=reworded, loc=error["loc"], input=error["input"])
    if kind == "value_error":
        kind = "rule"
    elif kind == "extra_forbidden" and len(error["loc"]) == 1:
        kind, guess = "unknown_field", nearest(error["loc"][0], cls.model_fields)
        message = f"no field of this name here; valid: {', '.join(cls.model_fields)}"
    reworded = rule_error(kind, message, guess)
    return InitErrorDetails(type=reworded, loc=error["loc"], input=error["input"])


def _after_comma(name: str) -> str:
    """Return what is wrong where the rest of a number stands as a name, after its comma."""
    thousands = ", and 1500, not 1,500" if re.match(r"\d{3}(?!\d)", name) else ""
    return f"is there a comma in the number before {name}? Write 1.5, not 1,5{thousands}"


def _parts(error: ErrorDetails) -> tuple[str, str, str | None]:
    """Return the type of an error of pydantic, the rule that is broken, and the nearest choice."""
    context = error.get("ctx", {})
    rule = context.get(RULE) or error["msg"].removeprefix("Value error, ")
    return error["type"], rule, context.get(NEAREST)


@dataclass(frozen=True)
class KindOf:
    """Marks a field whose class is chosen by ``kind`` from a registry.

    The field is annotated with the base of these classes; what is validated, written and described
    in a schema is the class that was chosen.

    Attributes
    ----------
    registry : Registry
    default : str or None
        The kind of what names none.
    stand_in : type of Spec or None
        What is made of an unknown kind where no plug-in may be imported.
    """

    registry: Registry
    default: str | None = None
    stand_in: type[Spec] | None = None

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_before_validator_function(
            self._dispatch, core_schema.any_schema()
        )

    def _dispatch(self, value: object) -> Spec:
        if isinstance(value, Spec):
            return value
        names = self.registry.names
        if not isinstance(value, dict):
            raise rule_error("kind", f"a mapping with a 'kind' ({', '.join(names())})")
        name = value.get("kind", self.default)
        if name is None:
            raise rule_error("missing_kind", f"needs a 'kind': one of {', '.join(names())}")
        try:
            cls = self.registry.get(str(name))
        except UnknownNameError as error:
            if self.stand_in is None or not runs_nothing():
                raise rule_error("kind", str(error)) from None
            cls = self.stand_in
        return cls.model_validate({**value, "kind": name})


_KINDS: dict[str, ProblemKind] = {kind: kind for kind in get_args(ProblemKind)}

# Where pydantic speaks of Python; its type of error → what is meant.
_PLAIN = {
    "list_type": "expected a list, such as [a, b]",
    "model_type": "expected a mapping, name: value",
    "dict_type": "expected a mapping, name: value",
    "invalid_key": "expected a name here; is there a decimal comma? Write 0.5, not 0,5",
    "string_key": "expected a name here; is there a decimal comma? Write 0.5, not 0,5",
}


def problems_of(error: ValidationError, prefix: str = "") -> list[SpecProblem]:
    """Translate pydantic's errors into problems, with ``prefix`` before each path."""
    problems = []
    for e in error.errors(include_url=False):
        path = ".".join(str(part) for part in e["loc"] if part != "function-wrap")
        received = None if e["type"] == "missing" else e["input"]
        if isinstance(received, dict | Spec):
            received = None if e["type"] in ("rule", "value_error") else received
        kind, rule, guess = _parts(e)
        rule = _PLAIN.get(kind, rule)
        if kind in ("string_type", "string_key") and isinstance(e["input"], bool):
            rule = "expected text, and YAML reads yes, no, on and off as truth values: put quotes"
        elif kind == "string_type" and isinstance(e["input"], int | float):
            rule = "expected text, and YAML reads a number: put quotes around it"
        elif received is None and re.match(r"\d+ ?\D", path.rpartition(".")[2]):
            rule = _after_comma(path.rpartition(".")[2])
        elif received is None and re.search(r"\w:\S", path.rpartition(".")[2]):
            rule = "put a space after the colon, between name and value"
        full = ".".join(p for p in (prefix, path) if p)
        problems.append(SpecProblem(full, rule, received, guess, kind=_KINDS.get(kind, "rule")))
    return problems
