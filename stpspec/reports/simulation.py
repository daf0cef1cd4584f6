"""The reports on a saved simulation and on a saved sweep."""

from __future__ import annotations

import json
import shlex
from functools import partial
from pathlib import Path
from typing import Any

from stpspec.formatting import number
from stpspec.reports import fit
from stpspec.reports.page import Page, failures_by_kind
from stpspec.results.folder import nodes, read_netcdf, to_yaml
from stpspec.specs.result_files import RUN, SWEEP
from stpspec.view.sweep import plot_sweep
from stpspec.view.tables import sweep_table
from stpspec.view.traces import plot_traces


def run_page(folder: Path) -> Page:
    """Return the report on a saved simulation."""
    import xarray as xr

    with read_netcdf(folder / RUN) as opened:
        tree = xr.DataTree.from_dict(nodes(opened.load()))
        attributes = {str(n): v for n, v in opened.attrs.items()}
        spec = json.loads(attributes["spec"])
    page = Page(f"Simulation of {spec.get('name', 'an experiment')}")
    values = {str(n): v for n, v in tree.to_dataset().data_vars.items() if n != "failure"}
    page.lead(spec.get("description") or "One simulation of every protocol.")
    page.section("Parameters")
    page.table([("parameter", "value", "unit"), *(
        (n, number(float(v.values[0]), 6), str(v.attrs.get("units", "")))
        for n, v in values.items())])  # fmt: skip
    page.section("Traces")
    for name in tree.children:
        page.figure(partial(plot_traces, tree, name), f"{name}.")
    _rest(page, folder, spec, attributes, "run")
    return page


def sweep_page(folder: Path) -> Page:
    """Return the report on a saved sweep."""
    with read_netcdf(folder / SWEEP) as opened:
        swept = opened.to_dataset().load()
        spec = json.loads(swept.attrs["spec"])
    fields = ", ".join(str(swept[d].attrs.get("long_name", d)) for d in swept.dims)
    page = Page(f"Sweep of {spec.get('name', 'an experiment')}")
    page.lead(f"What depends on {fields}?")
    page.section("Response")
    page.figure(lambda: plot_sweep(swept), "Metrics over what was swept; targets where they hold.")
    page.code(sweep_table(swept))
    page.section("Numerical confirmation")
    page.text(swept.attrs.get("confirmed") or "Simulated as the numerics of the experiment say.")
    page.section("Failures by kind")
    kinds = failures_by_kind([str(r) for r in swept["reason"].values.ravel()])
    page.table(kinds) if len(kinds) > 1 else page.text("Every combination could be measured.")
    _rest(page, folder, spec, dict(swept.attrs), "sweep")
    return page


def _rest(
    page: Page, folder: Path, spec: dict[str, Any], attributes: dict[str, Any], verb: str
) -> None:
    page.section("Experiment")
    page.code(to_yaml(spec))
    page.section("Made with")
    versions, sources = (json.loads(attributes.get(n, "{}")) for n in ("versions", "sources"))
    fit.made_with(page, versions, sources)
    fit.again(page, f"stpspec {verb} {shlex.quote(str(folder))}",
              "simulates the saved experiment once more")  # fmt: skip
