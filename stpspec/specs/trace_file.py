"""The file of a recorded trace, and how it is read where it does not say so itself."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from stpspec.specs.base import Spec
from stpspec.specs.quantities import Hertz, Millisecond

# The name of a column, an NWB series or an ABF channel, or its number, counted from 1.
ColumnName = str | Annotated[int, Field(ge=1)]
SweepNumber = Annotated[int, Field(ge=1)]


class TraceFile(Spec):
    """A file, or several, with one recorded signal, in one or several sweeps.

    Text (``.csv``, ``.tsv``, ``.txt``, ``.dat``, ``.atf``), NWB (``.nwb``) and Axon (``.abf``).
    Whatever the file says of itself, such as a unit in a header, need not be said here; where
    both do, they must agree, but for ``unit`` and ``time_unit``, which replace what is there.
    """

    file: str | list[str] = Field(description="of several files, each is a sweep, or several")
    column: ColumnName | list[ColumnName] | None = Field(
        default=None,
        description="column, NWB series or ABF channel of the signal, by name or number (from 1); "
        "of several, each is a sweep. By default all that have the signal's dimension",
    )
    unit: str | None = Field(default=None, description="of the signal, such as mV, V, pA, nA or A")
    time: ColumnName | None = Field(
        default=None, description="column of the times; by default the one that is called so"
    )
    time_unit: str | None = Field(default=None, description="of the times, such as ms or s")
    sampling_rate: Hertz | None = Field(
        default=None, gt=0, description="Hz, or a string with a unit, where there are no times"
    )
    stimulus: list[Millisecond] | ColumnName | None = Field(
        default=None,
        description="times of the presynaptic spikes, ms on the time axis of the file; or what "
        "holds them: a column, or NWB intervals or stimulus series",
    )
    sweeps: list[SweepNumber] | None = Field(
        default=None, min_length=1, description="numbers (from 1) of those to use; by default all"
    )
    invert: bool = Field(
        default=False, description="the signal was recorded, or saved, with the opposite sign"
    )
