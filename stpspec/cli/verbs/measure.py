"""``stpspec measure``: every metric of a recorded trace."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING, Any

from stpspec.cli import flags
from stpspec.cli.terminal import DONE, UsageError, show, shown_path
from stpspec.cli.verb import Candidates, Verb

if TYPE_CHECKING:
    from stpspec.cli.verb import FlagGroup
    from stpspec.specs.protocol import Protocol

_ENDINGS = (".csv", ".tsv", ".txt", ".dat", ".asc", ".atf", ".nwb", ".abf")
_FIELD = re.compile(r"([A-Za-z_]+)=(.*)", re.DOTALL)
_READING = ("unit", "time_unit", "sampling_rate")


def _measure(arguments: argparse.Namespace) -> int:
    from stpspec.results.measured_file import measure_file
    from stpspec.units import UnitError, convert

    files = [w for w in arguments.words if not _FIELD.fullmatch(w)]
    fields = {m[1]: m[2] for w in arguments.words if (m := _FIELD.fullmatch(w))}
    if not files:
        raise UsageError("measure takes the file of a recorded trace")
    try:
        times = {n: convert(getattr(arguments, n), "ms") for n in ("delay", "bin_width")}
    except UnitError as error:
        raise UsageError(f"--delay and --bin are times: {error}") from error
    reading: dict[str, Any] = {
        n: getattr(arguments, n) for n in _READING if getattr(arguments, n) is not None
    }
    for name in ("column", "time"):
        if (value := getattr(arguments, name)) is not None:
            reading[name] = _names(value) if name == "column" else _name(value)
    if arguments.stimulus is not None:
        reading["stimulus"] = _stimulus(arguments.stimulus)
    if arguments.sweeps is not None:
        reading["sweeps"] = arguments.sweeps.split(",")
    options = {n: v for n in ("baseline", "direction") if (v := getattr(arguments, n)) is not None}
    measured = measure_file(
        files,
        [m for word in arguments.metric for m in word.split(",")] or None,
        protocol=_protocol(arguments.protocol, fields),
        n_induction=arguments.induction,
        options=options,
        invert=arguments.invert,
        **times,
        **reading,
    )
    n = measured.n_sweeps
    source = f"{n} sweeps" if n > 1 else "one sweep"
    show(f"{', '.join(files)}: {source}, {next(iter(measured.tree.children[measured.name]))}\n")
    show(str(measured))
    if arguments.out is not None:
        saved = measured.save(arguments.out, overwrite=arguments.overwrite)
        print(f"\nfiles in {shown_path(saved)}")
    return DONE


def _name(word: str) -> str | int:
    return int(word) if word.isdigit() else word


def _names(word: str) -> str | int | list[str | int]:
    names = [_name(w.strip()) for w in word.split(",")]
    return names if len(names) > 1 else names[0]


def _stimulus(word: str) -> list[str] | str:
    """Return times, or the name of what holds them; a number is a time."""
    parts = [p.strip() for p in word.split(",")]
    return parts if re.match(r"[-+]?\.?\d", parts[0]) else word


def _protocol(kind: str | None, fields: dict[str, str]) -> Protocol | None:
    """Return the protocol that is named, with the fields that words of the line set."""
    import yaml
    from pydantic import ValidationError

    from stpspec.errors import SpecError
    from stpspec.registry import PROTOCOLS
    from stpspec.specs.base import problems_of

    if kind is None:
        if fields:
            raise UsageError(
                f"{next(iter(fields))}=… is a field of a protocol: name it, --protocol"
            )
        return None
    try:
        values = {n: yaml.safe_load(v) for n, v in fields.items()}
        return PROTOCOLS.get(kind).model_validate({"kind": kind, **values})
    except yaml.YAMLError as error:
        raise UsageError(f"a field of the protocol cannot be read: {error}") from error
    except ValidationError as error:
        raise SpecError(problems_of(error), f"the protocol {kind} is not valid") from None


def _flags(group: FlagGroup) -> None:
    add = group.add_argument
    add("--column", metavar="NAME", help="column, series or channel of the signal, by name or "
        "number; several, with commas, are its sweeps")  # fmt: skip
    add("--unit", metavar="UNIT", help="of the signal, where the file does not say: mV, pA …")
    add("--time", metavar="NAME", help="column of the times, where it is not called so")
    add("--time-unit", metavar="UNIT", help="of the times, where the file does not say: ms, s")
    add("--sampling-rate", metavar="HZ", help="where there are no times: 10000 or '10 kHz'")
    add("--stimulus", metavar="TIMES", help="when the stimuli come, ms with commas, or the column, "
        "intervals or series that hold them; the first will do with --protocol")  # fmt: skip
    add("--sweeps", metavar="NUMBERS", help="which of the sweeps, from 1, with commas")
    add("--invert", action="store_true", help="the signal was saved with the opposite sign")
    add("--protocol", metavar="KIND", help="kind of the stimuli, such as train; words such as "
        "frequency=20 set its fields")  # fmt: skip
    add("--induction", metavar="N", type=int, help="how many of the stimuli are induction pulses")
    add("--delay", metavar="MS", default="0", help="after a stimulus, before which no response is "
        "looked for, such as its artifact")  # fmt: skip
    add("--bin", dest="bin_width", metavar="MS", default="0", help="average samples over so long "
        "before anything is measured")  # fmt: skip
    add("--metric", metavar="NAMES", action="append", default=[],
        help="which metrics, with commas; by default all")  # fmt: skip
    add("--baseline", choices=["pre_train", "local", "extrapolated"], help="of each response")
    add("--direction", choices=["auto", "positive", "negative"], help="of the responses")


def _complete(_rest: list[str], current: str) -> Candidates:
    from stpspec.cli.completion.paths import paths

    return paths(current, _ENDINGS)


VERB = Verb(
    summary="every metric of a recorded trace, measured as a model's",
    section="experiments",
    usage="FILE… [field=value…]",
    words={
        "FILE": "CSV, TSV, ATF, NWB or ABF; of several, each is a sweep",
        "field=value": "a field of the protocol that --protocol names",
    },
    text="""\
Measure a recorded trace by the code that measures the traces of a model, and
print all metrics that its stimuli allow; of several sweeps those of their
mean, with the sd over the sweeps. Nothing is saved without --out. What the
file says in headers or metadata (units, times, stimuli) need not be given.""",
    examples=(
        ("measure epsps.csv --stimulus 500 --protocol train frequency=20",
         "a train whose first stimulus comes at 500 ms"),
        ("measure epsps.nwb --metric decay_time,charge --bin 0.5 --out measured",
         "two metrics, of a trace that is averaged over 0.5 ms; kept in measured"),
    ),
    action=_measure,
    flags=(_flags, flags.out, flags.overwrite),
    complete=_complete,
)  # fmt: skip
