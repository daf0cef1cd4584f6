"""The base experiments of the rows of a campaign."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stpspec.campaigns.problems import table_problem
from stpspec.campaigns.table import Row, Table, TableCell
from stpspec.config.overrides import at
from stpspec.errors import SpecError, SpecProblem, StpspecError
from stpspec.resources import GROUPS
from stpspec.specs.diagnosis import examine
from stpspec.specs.experiment import Experiment

CHOICES = ("experiment", *GROUPS)


@dataclass(frozen=True)
class Base:
    """An experiment, and the terms that it leaves without a target for the rows to give."""

    experiment: Experiment
    open_terms: frozenset[str] = frozenset()

    @property
    def terms(self) -> list[str]:
        objective = self.experiment.objective
        return list(objective.terms) if objective is not None else []


@dataclass
class Bases:
    """Compose each experiment that a row is based on, once.

    Parameters
    ----------
    experiment : Experiment, str, Path or None
        Of the rows that name none.
    overrides : sequence of str
        For all of them, in Hydra's syntax.
    table : Table
    """

    experiment: Experiment | str | Path | None
    overrides: Sequence[str]
    table: Table
    _bases: dict[tuple[str, ...], Base | SpecProblem] = field(default_factory=dict)

    def of(self, row: Row) -> Base | SpecProblem:
        """Return the base of a row, or why there is none.

        Raises
        ------
        StpspecError
            If the experiment that is the base of all rows is not valid.
        """
        chosen = {k: row.cells[k] for k in CHOICES if k in row.cells and row.cells[k].value}
        key = tuple(f"{name}={cell.value}" for name, cell in chosen.items())
        if key not in self._bases:
            self._bases[key] = self._make(row, chosen, key)
        return self._bases[key]

    def _make(
        self, row: Row, chosen: Mapping[str, TableCell], key: Sequence[str]
    ) -> Base | SpecProblem:
        column = next(iter(chosen), "experiment")
        cell = next(iter(chosen.values()), None)
        try:
            name = self._named(chosen)
            if name is None:
                rule = "name the experiment of this row here, or one for all: experiment=…"
                return table_problem(rule, column="experiment", where=self.table.header)
            if isinstance(name, Experiment):
                if not chosen:
                    return Base(name)
                rule = "a group can be chosen only where the base is a file or a name"
                return table_problem(rule, key, row=row.label, column=column, where=row.where)
            groups = [word for word in key if not word.startswith("experiment=")]
            return load_base(name, [*self.overrides, *groups])
        except StpspecError as error:
            if cell is None:
                raise
            place = {"row": row.label, "column": column, "where": cell.where}
            return table_problem(str(error), cell.value, **place)

    def words_of(self, row: Row) -> tuple[Experiment | str | Path | None, list[str]]:
        """Return the experiment that a row begins with, and the overrides of its base."""
        chosen = {k: row.cells[k] for k in CHOICES if k in row.cells and row.cells[k].value}
        groups = [f"{k}={cell.value}" for k, cell in chosen.items() if k != "experiment"]
        return self._named(chosen), [*self.overrides, *groups]

    def _named(self, chosen: Mapping[str, TableCell]) -> Experiment | str | Path | None:
        """Return the base as it is named: a path is one from here, or from the table's folder."""
        if "experiment" not in chosen:
            return self.experiment
        name = str(chosen["experiment"].value)
        beside = self.table.folder / name if self.table.folder is not None else None
        if beside is not None and not Path(name).exists() and beside.exists():
            return beside
        return name


def load_base(name: str | Path, overrides: Sequence[str] = ()) -> Base:
    """Compose the experiment that rows are based on; its terms may lack targets.

    Raises
    ------
    StpspecError
        If it is not valid.
    """
    from stpspec.config.compose import compose

    data, origin = compose(name, overrides)
    open_terms = frozenset(stand_in_for_targets(data))
    experiment, problems, _ = examine(data)
    if experiment is None:
        raise SpecError([p.at(origin.where(p.path)) for p in problems], f"{name} is not valid")
    return Base(experiment, open_terms)


def left_to_a_table(data: Mapping[str, object]) -> bool:
    """Tell whether an experiment is the base of a campaign: its targets are left to a table.

    Either they are written as ``???``, or no term has any.
    """
    terms = at(data, "objective.terms")
    terms = list(terms.values()) if isinstance(terms, dict) else []
    targets = [term.get("target") for term in terms if isinstance(term, dict)]
    if not targets or len(targets) < len(terms):
        return False
    return all(t is None for t in targets) or ("???" in targets and None not in targets)


def stand_in_for_targets(data: Mapping[str, object]) -> list[str]:
    """Give each term without a target one that is valid; return which they are."""
    from stpspec.registry import METRICS

    objective = data.get("objective")
    terms = objective.get("terms") if isinstance(objective, Mapping) else None
    open_terms = []
    for name, term in (terms if isinstance(terms, Mapping) else {}).items():
        if isinstance(term, dict) and term.get("target") in (None, "???"):
            is_known = term.get("metric") in METRICS.names()
            vector = is_known and METRICS.get(term["metric"]).vector
            term["target"] = [1.0] if vector else 1.0
            open_terms.append(str(name))
    return open_terms
