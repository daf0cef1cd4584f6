"""The report on a study: its best trial, its path, and its failures, from the trials alone."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import yaml

from stpspec.formatting import number, unit_text
from stpspec.metrics.miss import misses_of
from stpspec.reports import fit
from stpspec.reports.page import Page, failures_by_kind
from stpspec.specs.objective import Objective
from stpspec.specs.parameters import Parameter
from stpspec.studies.records import EvaluationRecord
from stpspec.studies.stored import stored_study
from stpspec.view.path import plot_path

_BEST = 10  # trials whose parameters are compared


def study_page(place: str, name: str | None) -> Page:
    """Return the report on a study, also on one that is still written; it is only read.

    Parameters
    ----------
    place : str
        A journal file or the URL of a database.
    name : str, optional
        The study's; by default the only one there.

    Raises
    ------
    StudyError
        If the storage cannot be opened, holds no such study, or several and none is named.
    """
    study = stored_study(place, name)
    spec, records, states = study.spec, study.records, study.states
    page = Page(f"Study {study.name}")
    page.lead(f"Trials of {spec.get('name', 'an experiment')} in {study.place}.")
    count = ", ".join(f"{states.count(s)} {s}" for s in dict.fromkeys(states)) or "no trial yet"
    page.lead(f"{count}.", "verdict")
    good = [r for r in records if r["loss"] is not None]
    parameters = {n: Parameter.model_validate(p) for n, p in spec["parameters"].items()}
    page.section("Asked and achieved")
    if good:
        best = min(good, key=lambda r: r["loss"] if r["loss"] is not None else np.inf)
        page.text(f"The best trial has a loss of {number(best['loss'] or 0.0)}.")
        page.table(_terms(spec, best))
        rows = [("parameter", "value", "bounds")]
        for n, v in best["values"].items():
            low, high = (number(float(x)) for x in (parameters[n].min, parameters[n].max))
            rows.append((n, number(v), f"{low} … {high}"))
        page.table(rows)
    else:
        page.text("No trial has a loss.")
    page.section("What the targets determine")
    _determined(page, spec, good)
    page.section("Path")
    if records:
        page.figure(lambda: plot_path(_history(records, parameters), parameters),
                    "Loss and parameters along the trials.")  # fmt: skip
    page.section("Failures by kind")
    kinds = failures_by_kind([r["reason"] for r in records])
    page.table(kinds) if len(kinds) > 1 else page.text("No trial failed.")
    page.section("Numerical confirmation")
    page.text("Trials are as the search simulated them. The result of the fit has the best one "
              "confirmed on the reference numerics, with standard errors and traces: stpspec "
              "report on its folder.")  # fmt: skip
    page.section("Experiment")
    shown = {n: v for n, v in spec.items() if n not in ("sources", "identity")}
    page.code(yaml.safe_dump(shown, sort_keys=False, allow_unicode=True))
    page.section("Made with")
    fit.made_with(page, {}, dict(spec.get("sources") or {}))
    fit.again(page, f"stpspec fit EXPERIMENT study={shlex.quote(study.name)}",
              "goes on with the study, or in an empty folder begins it anew; EXPERIMENT is the "
              "one above")  # fmt: skip
    return page


def _determined(page: Page, spec: Mapping[str, Any], good: Sequence[EvaluationRecord]) -> None:
    """Say how far the best trials lie apart: trials alone have no standard errors."""
    terms = Objective.model_validate(spec["objective"]).terms.values()
    n_data = sum(t.size for t in terms if t.weight > 0)
    page.text(f"{len(spec['parameters'])} free parameters, {n_data} target values.")
    best = sorted(good, key=lambda r: np.inf if r["loss"] is None else r["loss"])[:_BEST]
    if len(best) < _BEST:
        return
    page.text(f"Where the {_BEST} best trials lie far apart, the targets do not determine a "
              f"parameter, or the search has not come to its end.")  # fmt: skip
    rows = [("parameter", f"in the {_BEST} best trials")]
    for name in spec["parameters"]:
        values = [r["values"][name] for r in best]
        rows.append((name, f"{number(min(values))} … {number(max(values))}"))
    page.table(rows)


def _terms(spec: Mapping[str, Any], best: EvaluationRecord) -> list[tuple[str, ...]]:
    objective = Objective.model_validate(spec["objective"])
    rows = [("metric", "protocol", "target ± sd", "achieved", "miss")]
    misses = misses_of(objective, best["metrics"])
    for name, term in objective.terms.items():
        miss = misses[name]
        sd = "" if miss.sd is None else f" ± {number(float(miss.sd[0]))}"
        values = [f"{number(np.nanmin(v))} … {number(np.nanmax(v))}" if v.size > 1
                  else number(float(v[0]))
                  for v in (miss.target, miss.achieved)]  # fmt: skip
        label = name if name == term.metric else f"{name} ({term.metric})"
        rows.append((label, term.protocol, values[0] + sd, values[1], miss.text(unit_text("1"))))
    return rows


def _history(records: Sequence[EvaluationRecord], parameters: Mapping[str, Parameter]) -> Any:
    """Return the records as the history of a fit has them."""
    import xarray as xr

    loss = [np.nan if r["loss"] is None else r["loss"] for r in records]
    data: dict[str, Any] = {
        f"parameter_{n}": ("evaluation", np.array([r["values"][n] for r in records], float))
        for n in parameters
    }
    data["loss"] = ("evaluation", np.array(loss, float))
    data["reason"] = ("evaluation", np.array([r["reason"] for r in records], dtype=object))
    data["start"] = ("evaluation", np.array([r["start"] for r in records]))
    return xr.Dataset(data, {"evaluation": np.arange(1, len(records) + 1)})
