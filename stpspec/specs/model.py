"""The model: which cell, which mechanism, where on the cell, with which fixed values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler, field_validator
from pydantic_core import core_schema

from stpspec.registry import MODELS
from stpspec.specs.base import Spec
from stpspec.specs.places import flat
from stpspec.specs.plausible import Range
from stpspec.specs.quantities import Millisecond, Quantity, quantity

# What the parameters of our own mechanisms are; other mechanisms declare theirs in `roles`.
_OWN_ROLES: dict[str, list[str]] = {
    "utilization": ["U"],
    "depression": ["tau_rec", "tau_rec_1", "tau_rec_2"],
    "facilitation": ["tau_facil"],
    "decay": ["tau_decay", "tau_decay_nmda"],
}


_NO_WEIGHT = "with a weight of 0 no event has any effect"


class Cell(Spec):
    """A cell template: a file, and the template or class in it."""

    file: str = Field(description="template file, .hoc or .py")
    template: str = Field(description="name of the HOC template, or of the Python class")
    arguments: dict[str, object] | list[object] = Field(
        default_factory=dict, description="given to the template when a cell is built"
    )


Weights = float | list[float | str] | dict[str, float | str]
_WEIGHT = Range("", 0, 1e4, zero=_NO_WEIGHT)


class _PerArgument:
    """Marks a weight that is one number, or one for each argument of NET_RECEIVE."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        one = handler.generate_schema(Annotated[float, _WEIGHT])
        as_it_is = core_schema.plain_serializer_function_ser_schema(lambda value: value)
        return core_schema.no_info_wrap_validator_function(_weights, one, serialization=as_it_is)

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        one: dict[str, Any] = {"anyOf": [{"type": "number"}, {"type": "string"}]}
        return {
            "anyOf": [
                {"type": "number"},
                {"type": "array", "items": one, "minItems": 1},
                {"type": "object", "additionalProperties": one, "minProperties": 1},
            ]
        }


def _weights(value: Any, of_number: Callable[[Any], float]) -> Weights:
    if isinstance(value, list | tuple) and value:
        return [quantity(v) for v in value]
    if isinstance(value, Mapping) and value:
        return {str(name): quantity(v) for name, v in value.items()}
    return of_number(value)


class NetCon(Spec):
    """The connection that carries the presynaptic events."""

    weight: Annotated[Weights, _WEIGHT, _PerArgument()] = Field(
        default=1.0,
        description="in the unit of the mechanism; a list, or a mapping by name, where NET_RECEIVE "
        "has further arguments",
    )
    delay: Annotated[Millisecond, Range("ms", 0, 30, most=1000)] = Field(
        default=1.3, ge=0, description="from spike to arrival, ms"
    )


class Roles(Spec):
    """Which parameters of the mechanism play which part in short-term plasticity."""

    utilization: list[str] = Field(default_factory=lambda: list(_OWN_ROLES["utilization"]))
    depression: list[str] = Field(default_factory=lambda: list(_OWN_ROLES["depression"]))
    facilitation: list[str] = Field(default_factory=lambda: list(_OWN_ROLES["facilitation"]))
    decay: list[str] = Field(default_factory=lambda: list(_OWN_ROLES["decay"]))


class _Placed(Spec):
    cell: Cell
    mechanism: str = Field(description="name of the POINT_PROCESS")
    mod: list[str] = Field(
        default_factory=list, description="further .mod files or folders, before the shipped ones"
    )
    section: str = Field(default="soma", description="section of the cell, such as soma or dend[0]")
    position: float = Field(default=0.5, ge=0, le=1, description="along the section, 0 to 1")
    fixed: dict[str, Quantity] = Field(
        default_factory=dict,
        description="values of parameters, and of sections, such as cell.soma.g_pas; a free "
        "parameter goes before",
    )

    @field_validator("fixed", mode="before")
    @classmethod
    def _by_dotted_path(cls, data: object) -> object:
        return flat(data) if isinstance(data, Mapping) else data

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The template of each cell."""
        return (self.cell,)

    @property
    def sites(self) -> tuple[tuple[str, float], ...]:
        """Section and position of the mechanism in each cell."""
        return ((self.section, self.position),)

    @property
    def heads(self) -> tuple[tuple[str, ...], ...]:
        """What each cell is called in dotted paths; of several names the last goes before."""
        return (("cell",),)


@MODELS.register("synapse")
class Synapse(_Placed):
    """One synapse on one cell."""

    kind: Literal["synapse"] = "synapse"
    net_con: NetCon = Field(default_factory=NetCon)
    current: str | None = Field(
        default=None,
        description="variable of the synaptic current, nA; by default all that is passed",
    )
    conductance: str = Field(default="g", description="variable of the synaptic conductance, uS")
    reversal: str = Field(default="e", description="parameter of the reversal potential, mV")
    roles: Roles = Field(default_factory=Roles)
    distribution: Literal["uniform", "negexp", "normal"] | None = Field(
        default=None,
        description="numbers of the Random object that a stochastic mechanism is given; by default "
        "as its text tells",
    )

    stimulated_by: ClassVar[str] = "event"


@MODELS.register("gap_junction")
class GapJunction(_Placed):
    """A gap junction between two cells; the second cell is like the first unless it is given."""

    kind: Literal["gap_junction"] = "gap_junction"
    cell_2: Cell | None = None
    section_2: str | None = None
    position_2: float | None = Field(default=None, ge=0, le=1)
    current: str | None = Field(
        default=None,
        description="variable of the junctional current, nA; by default all that is passed",
    )
    partner_voltage: str = Field(
        default="vgap", description="POINTER or RANGE variable for the voltage of the other side"
    )

    stimulated_by: ClassVar[str] = "step"

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The templates of cell 1 and cell 2."""
        return (self.cell, self.cell_2 or self.cell)

    @property
    def sites(self) -> tuple[tuple[str, float], ...]:
        """Section and position of the mechanism in cell 1 and in cell 2."""
        position = self.position if self.position_2 is None else self.position_2
        return ((self.section, self.position), (self.section_2 or self.section, position))

    @property
    def heads(self) -> tuple[tuple[str, ...], ...]:
        """What each cell is called in dotted paths: the second is like the first if not given."""
        return (("cell",), ("cell", "cell_2") if self.cell_2 is None else ("cell_2",))


ModelSpec = Synapse | GapJunction

__all__ = ["Cell", "GapJunction", "ModelSpec", "NetCon", "Roles", "Synapse"]
