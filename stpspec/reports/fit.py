"""The report on a fit: asked and achieved, traces, path, what is determined, confirmation."""

from __future__ import annotations

import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stpspec.formatting import number, unit_text
from stpspec.metrics.noise import students_t
from stpspec.reports.page import Page, failures_by_kind
from stpspec.results.fit_result import FitResult
from stpspec.results.folder import to_yaml
from stpspec.specs.experiment import Experiment
from stpspec.view.amplitudes import plot_amplitudes
from stpspec.view.contract import terms_of
from stpspec.view.path import plot_path
from stpspec.view.tables import fit_parts, took_last_step, verdict, with_error
from stpspec.view.targets import plot_targets
from stpspec.view.traces import plot_traces

if TYPE_CHECKING:
    from stpspec.metrics.miss import Miss

_PROTOCOLS = 8  # whose traces are drawn; more are left to the folder
_MARGIN = 1.96  # of a normal distribution, the standard errors that hold 95 %


def fit_page(folder: Path) -> Page:
    """Return the report on a saved fit; plug-ins that it names are not imported."""
    result = FitResult.load(folder)
    page = Page(f"Fit of {result.experiment.name}")
    page.lead(question(result))
    page.lead(verdict(result)[:1].upper() + verdict(result)[1:], "verdict")
    _origin(page, result)
    page.section("Asked and achieved")
    asked_and_achieved(page, result)
    page.section("Traces")
    traces(page, result)
    page.section("What the targets determine")
    determined(page, result)
    page.section("Path of the fit")
    path(page, result)
    page.section("Numerical confirmation")
    confirmation(page, result)
    page.section("Experiment")
    page.text("As it was run, with every default filled in.", "quiet")
    page.code(_yaml(result))
    page.section("Made with")
    made_with(page, result.versions, result.sources)
    again(page, f"stpspec fit {shlex.quote(str(folder))}",
          "fits the saved result once more, from its own copies of all files")  # fmt: skip
    return page


def question(result: FitResult) -> str:
    """Return the question that a fit answers, in a sentence."""
    names = _listed(list(result.parameters))
    terms = terms_of(result.experiment)
    asked = _listed([n for n, t in terms.items() if t.weight > 0], 6)
    plural = "s" if len(result.parameters) != 1 else ""
    return f"Which value{plural} of {names} give{'' if plural else 's'} {asked} as measured?"


def _listed(names: list[str], most: int = 8) -> str:
    shown = names if len(names) <= most else [*names[: most - 1], f"{len(names) - most + 1} more"]
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


def _origin(page: Page, result: FitResult) -> None:
    if result.experiment.description:
        page.lead(result.experiment.description)
    if result.experiment.source:
        page.lead(f"Targets from: {result.experiment.source}", "quiet")


def asked_and_achieved(page: Page, result: FitResult, *, figures: bool = True) -> None:
    """Add the targets beside what was achieved, as a table and as figures."""
    _, targets, _, _ = fit_parts(result)
    page.table(targets)
    ignored = [n for n, t in terms_of(result.experiment).items() if t.weight == 0]
    if ignored:
        page.text(f"Of weight 0, and so without effect on the fit: {', '.join(ignored)}.", "quiet")
    if not figures:
        return
    page.figure(
        lambda: plot_targets(result), "Achieved − target of each term, and the numbers beside it."
    )
    page.figure(lambda: plot_amplitudes(result),
                "Amplitude against pulse number: the model, and data where they are targets. "
                "Lines are broken at pauses.")  # fmt: skip


def traces(page: Page, result: FitResult) -> None:
    """Add the traces of each protocol at the best point, with recorded ones where there are any."""
    names = list(result.traces.children)
    for name in names[:_PROTOCOLS]:
        plot = partial(plot_traces, result.traces, name, experiment=result.experiment)
        page.figure(plot, f"{name}: the response at the best point, on the reference numerics.")
    if len(names) > _PROTOCOLS:
        rest = ", ".join(names[_PROTOCOLS:])
        page.text(f"Not drawn here, but in the folder of the result: {rest}.", "quiet")


def determined(page: Page, result: FitResult) -> None:
    """Say of each parameter whether the targets determine it, and how well."""
    terms = terms_of(result.experiment)
    counted: dict[str, Miss] = {n: m for n, m in result.misses.items() if terms[n].weight > 0}
    n_data, n_free = sum(m.n_data for m in counted.values()), len(result.parameters)
    many = f"{n_data} datum" if n_data == 1 else f"{n_data} data"
    text = f"{n_free} free parameter{'s' * (n_free != 1)}, {many}."
    if n_free > n_data:
        text += " There are more parameters than data: other values fit as well."
    page.text(text)
    rows = [("parameter", "value ± approx. SE", "unit", "95 % interval", "bounds", "determined")]
    rows += [_determined(result, name) for name in result.parameters]
    page.table(rows)
    if any(m.sd is None for m in counted.values()):
        page.text("Where no sd of a target is given, standard errors rest on the scatter of the "
                  "misses.", "quiet")  # fmt: skip


def _determined(result: FitResult, name: str) -> tuple[str, ...]:
    value, error = result.parameters[name], result.errors.get(name, float("nan"))
    spec = result.experiment.parameters[name]
    interval = ""
    if np.isfinite(error):
        degrees = result.degrees_of_freedom.get(name)
        half = error * (_MARGIN if degrees is None else students_t(degrees))
        interval = f"{number(value - half, 3)} … {number(value + half, 3)}"
    said = f"to ± {100 * error / abs(value):.2g} %" if np.isfinite(error) and value else ""
    if name in result.at_bound:
        said = f"no: it is at its bound ({result.at_bound[name]})"
    elif name in result.undetermined:
        said = f"no: {result.undetermined[name]}"
    bounds = f"{number(float(spec.min))} … {number(float(spec.max))}"
    bounds += " (log)" if spec.scale == "log" else ""
    return (name, with_error(value, error), unit_text(result.units[name]), interval, bounds, said)


def path(page: Page, result: FitResult) -> None:
    """Add the path of the fit, why it stopped, and its failures by kind."""
    *_, closing = fit_parts(result)
    page.text("\n".join(x for x in closing.splitlines() if not x.startswith("note on ")))
    page.figure(lambda: plot_path(result.history, result.experiment.parameters, result=result),
                "Loss and parameters along the evaluations.")  # fmt: skip
    reasons = [str(r) for r in result.history["reason"].values]
    page.heading("Failures by kind")
    kinds = failures_by_kind(reasons)
    page.table(kinds) if len(kinds) > 1 else page.text("No evaluation failed.")


def confirmation(page: Page, result: FitResult) -> None:
    """Say on which numerics the result rests, and what differs from those of the search."""
    numerics = result.experiment.numerics
    step = f"fixed steps of {float(numerics.dt):g} ms"
    if numerics.integrator == "fixed":
        page.text(f"Search and result are simulated in {step}.")
    else:
        then = (
            "and a last step was taken from there with the derivatives of the search"
            if took_last_step(result) else "with all protocols"
        )  # fmt: skip
        page.text(
            f"The search simulated as fast as it could; its best point was simulated once more "
            f"on the reference numerics ({step}), {then}. The loss of the result there is "
            f"{number(result.loss)}; the search ended with {number(result.loss_search)}."
        )
    notes = [f"{name}: {text}" for name, texts in result.notes.items() for text in texts]
    if notes:
        page.text("What a reader of the values should know:")
    page.items(notes)
    if not notes:
        page.text("No note on any value: search and reference agree within what matters.")


def made_with(page: Page, versions: dict[str, str], sources: dict[str, str]) -> None:
    """Add versions, and the hash of every source file."""
    page.table([("program", "version"), *versions.items()])
    page.table([("source", "sha256"), *sorted(sources.items())])


def again(page: Page, command: str, what: str) -> None:
    """Add the command that makes it again."""
    page.heading("The command that makes it again")
    page.code(command)
    page.text(f"It {what}.", "quiet")


def _yaml(result: FitResult) -> str:
    experiment = result.experiment
    if isinstance(experiment, Experiment):
        return to_yaml(experiment)
    return to_yaml(experiment.to_data())
