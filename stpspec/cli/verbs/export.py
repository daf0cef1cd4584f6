"""``stpspec export``: a result for another program, verified by simulating what was written."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from stpspec.cli import flags
from stpspec.cli.terminal import DONE, UsageError, show, shown_path
from stpspec.cli.verb import Candidates, Verb

if TYPE_CHECKING:
    from stpspec.cli.verb import FlagGroup
    from stpspec.interop.verification import Comparison

FORMATS = ("bmtk", "sonata", "netpyne", "hoc", "python")
_SHOWN = 40  # values of one metric


def _export(arguments: argparse.Namespace) -> int:
    from pathlib import Path

    from stpspec.errors import ResultError, unknown_name
    from stpspec.formatting import columns, number
    from stpspec.formatting.layout import screen_width
    from stpspec.interop.export import export
    from stpspec.interop.verification import TOLERANCE
    from stpspec.resources import search_in

    if len(arguments.words) != 1:
        raise UsageError("export takes one result: the folder of a fit or of a run")
    if arguments.format not in FORMATS:
        raise UsageError(str(unknown_name("format", arguments.format or "", FORMATS)))
    result = arguments.words[0]
    folder = Path(arguments.out or f"{Path(result).resolve().name}_{arguments.format}")
    with search_in(arguments.config_dir):
        done = export(result, folder, arguments.format, trust=arguments.trust)
    rows = [("protocol", "metric", "result", "export")]
    rows += [(p, m, number(a, 7), number(b, 7)) for p, m, a, b in _told(done.comparison)]
    show(columns(rows, right=(2, 3), width=screen_width(), keys=2))
    for note in done.notes:
        show(f"  note: {note}")
    show(f"\nsimulated again by {done.comparison.how}: the largest difference of a metric is "
         f"{done.comparison.largest:.1e} of it")  # fmt: skip
    show(f"files in {shown_path(done.folder)}")
    if not done.comparison.agrees:
        raise ResultError(
            f"the metrics of what was exported differ from those of the result by more than "
            f"{TOLERANCE:g}: {done.folder} is not the same model"
        )
    return DONE


def _told(comparison: Comparison) -> list[tuple[str, str, float, float]]:
    """Return the values that are shown: of the samples of a trace the one that is furthest off."""
    groups: dict[tuple[str, str], list[tuple[str, str, float, float]]] = {}
    for row in comparison.rows:
        groups.setdefault((row[0], row[1].partition("[")[0]), []).append(row)
    told = []
    for (protocol, name), rows in groups.items():
        if len(rows) > _SHOWN:
            *_, a, b = max(rows, key=lambda row: abs(row[2] - row[3]))
            rows = [(protocol, f"{name} (worst of {len(rows)})", a, b)]
        told += rows
    return told


def _flags(group: FlagGroup) -> None:
    group.add_argument("--format", metavar="FORMAT", help=", ".join(FORMATS))


def _complete(rest: list[str], current: str) -> Candidates:
    from stpspec.cli.completion.paths import paths

    return {} if rest else paths(current, ())


VERB = Verb(
    summary="write a result for BMTK, SONATA, NetPyNE, HOC or Python",
    section="results",
    usage="RESULT",
    words={"RESULT": "the folder of a fit or of a run"},
    text="""\
Write the synapse or gap junction of a result with its fitted values, its
mechanisms and its cells for another program. What was written is then
simulated again, and its metrics are compared with those of the result: they
agree to 1e-6, or the command fails. A gap junction is written for Python and
HOC.""",
    examples=(
        ("export my_fit --format python --out synapse", "a script that needs NEURON alone"),
        ("export my_fit --format bmtk", "dynamics_params and a circuit_config.json"),
    ),
    action=_export,
    flags=(_flags, flags.out, flags.trust, flags.config_dir),
    complete=_complete,
)
