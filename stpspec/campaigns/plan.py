"""The plan of a campaign: one valid experiment, folder and study for each row of its table."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stpspec.campaigns.bases import Bases
from stpspec.campaigns.problems import gathered
from stpspec.campaigns.record import has_result, read_record
from stpspec.campaigns.rows import RowExperiment, row_experiment, unknown_columns
from stpspec.campaigns.table import Table, TableSource, read
from stpspec.errors import SpecError, SpecProblem, StpspecError, nearest, place
from stpspec.resources import expanded
from stpspec.specs.base import canonical_json
from stpspec.specs.experiment import Experiment
from stpspec.specs.objective import target_files
from stpspec.specs.recovery import unseen
from stpspec.specs.result_files import Sources

_NOT_OF_THE_RESULT = ("study", "workers", "figures", "description", "source")


@dataclass(frozen=True)
class Connection:
    """One row of the table, ready to be fitted.

    Attributes
    ----------
    label, name : str
        As written, and as the name of its folder.
    folder : Path
    experiment : Experiment
        With its study.
    digest : str
        Of everything in the experiment that its result depends on.
    """

    label: str
    name: str
    folder: Path
    experiment: Experiment
    digest: str

    @property
    def is_done(self) -> bool:
        """Whether its result is there, and from the same experiment."""
        return self.is_same and has_result(self.folder)

    @property
    def is_same(self) -> bool:
        """Whether what its folder records is of the same experiment, with the same files read."""
        from stpspec.engine.binding.source_files import is_as_read

        record = read_record(self.folder)
        same = record.get("digest") == self.digest
        return same and is_as_read(self.experiment, record.get("read", []))


def plan(
    table: TableSource,
    experiment: Experiment | str | Path | None,
    overrides: Sequence[str],
    folder: str | Path | None,
    only: Sequence[str] = (),
) -> tuple[Path, list[Connection], list[Connection]]:
    """Make and check the experiment of each row; nothing is simulated or written.

    Returns
    -------
    folder : Path
        Of the campaign.
    connections : list of Connection
    chosen : list of Connection
        Those that are asked for and have no result yet.

    Raises
    ------
    SpecError
        With every problem of the table at once, each with its file, line, row and column.
    """
    content = read(table)
    root = expanded(folder or Path("stpspec-results/campaigns") / content.stem).resolve()
    bases = Bases(experiment, overrides, content)
    rows = [row_experiment(row, bases) for row in content.rows]
    problems = [*content.problems, *unknown_columns(rows, content.header)]
    problems += _unknown_names(content, only)
    files = _Files()
    connections = {r.row.name: _connection(r, root, files) for r in rows if r.experiment}
    asked = {n for n in connections if not only or n in only or connections[n].label in only}
    pending = [c for c in connections.values() if c.name in asked and not c.is_done]
    to_check = [r for r in rows if r.experiment is None or connections[r.row.name] in pending]
    problems += [p for r in rows for p in r.problems]
    problems += _problems_of_neuron(to_check)
    if problems:
        problems = gathered(sorted(problems, key=place))
        raise SpecError(problems, f"the table {content.stem!r} is not valid")
    return root, list(connections.values()), pending


def experiments_of_table(
    table: TableSource, experiment: Experiment | str | Path | None, overrides: Sequence[str]
) -> dict[str, Experiment]:
    """Return the experiment of each row by its label; nothing is simulated or written.

    Raises
    ------
    SpecError
        With every problem of the table that its data tell.
    """
    content = read(table)
    bases = Bases(experiment, overrides, content)
    rows = [row_experiment(row, bases) for row in content.rows]
    problems = [*content.problems, *unknown_columns(rows, content.header)]
    problems += [p for r in rows for p in r.problems]
    if problems:
        problems = gathered(sorted(problems, key=place))
        raise SpecError(problems, f"the table {content.stem!r} is not valid")
    return {r.row.label: r.experiment for r in rows if r.experiment is not None}


def _unknown_names(table: Table, only: Sequence[str]) -> list[SpecProblem]:
    names = [n for row in table.rows for n in dict.fromkeys((row.label, row.name))]
    rule = "--only takes the name of a connection in the table"
    return [SpecProblem("--only", rule, name, nearest(name, names), "command line")
            for name in only if name not in names]  # fmt: skip


class _Files(dict[str, Sources]):
    """Files that experiments name; those of rows with the same ones are read once."""

    def of(self, experiment: Experiment) -> Sources:
        from stpspec.engine.binding.source_files import named_sources

        data = experiment.to_data()
        read = list(target_files(experiment.objective))
        key = canonical_json([data["plugins"], {**data["model"], "fixed": None}, read])
        if key not in self:
            self[key] = Sources()
            with contextlib.suppress(StpspecError, OSError):  # what is not there is told as such
                self[key] = named_sources(experiment)
        return self[key]


def _connection(entry: RowExperiment, root: Path, files: _Files) -> Connection:
    experiment, row = entry.experiment, entry.row
    assert experiment is not None
    data = files.of(experiment).placeless(experiment.to_data())
    for name in _NOT_OF_THE_RESULT:
        data.pop(name)
    digest = _hash(data)
    data["fitter"].pop("budget", None)  # a larger budget goes on in the same study
    folder, study = root / row.name, experiment.study
    named = {
        "name": f"{study.name if study is not None else _plain(root.name)}.{row.name}",
        "storage": (study and study.storage) or str(folder / f"study-{_hash(data)[:8]}.journal"),
        # Of a changed row, or file that its cell reads, the study goes on beside the first.
        "accept_changes": True,
    }
    return Connection(row.label, row.name, folder, experiment.copy_with(study=named), digest)


def _hash(data: object) -> str:
    return hashlib.sha256(canonical_json(data).encode()).hexdigest()


def _plain(name: str) -> str:
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "_.-") else "_" for c in name)
    return safe if safe[:1].isalnum() else f"campaign{safe}"


def _problems_of_neuron(rows: Sequence[RowExperiment]) -> list[SpecProblem]:
    """Return what only mechanisms and cells can tell, of all rows in one process."""
    from stpspec.engine.binding.check import check_parts

    of_rows, _ = check_parts([r.parts for r in rows])
    return [
        row.located(problem)
        for row, problems in zip(rows, of_rows, strict=True)
        for problem in unseen(problems, row.raw)
    ]
