"""A first project for the mechanisms and the cell of a laboratory, in which every verb works."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stpspec.engine.mechanisms import nmodl
from stpspec.engine.survey.folder import mod_files, survey
from stpspec.engine.survey.record import PointProcessRecord, Survey
from stpspec.errors import MechanismError, ResultError, StpspecError
from stpspec.formatting import one_line
from stpspec.interop.cell_files import PATCH, CellFile, find_cell, words_of
from stpspec.interop.first_experiment import Draft, draft_of, readme_of, with_targets, yaml_of
from stpspec.interop.trial_calibration import calibrated_over_trials
from stpspec.interop.yaml_text import block
from stpspec.resources import expanded, shipped
from stpspec.results.folder import with_own_files, write_folder
from stpspec.results.provenance import sources_of
from stpspec.specs.experiment import Experiment
from stpspec.specs.model import NetCon
from stpspec.specs.result_files import write_sources


@dataclass(frozen=True)
class Project:
    """A project that was written.

    Attributes
    ----------
    folder : Path
    experiments : tuple of str
    left_out : dict of str to str
        Mechanism or file → why it has no experiment.
    """

    folder: Path
    experiments: tuple[str, ...]
    left_out: dict[str, str]


def start_project(
    folder: Path,
    mod: Sequence[Path],
    cell: Path | None = None,
    template: str | None = None,
    progress: Callable[[str], object] | None = None,
) -> Project:
    """Write a project: conf/, mod/, templates/, and an experiment for each mechanism.

    Parameters
    ----------
    folder : Path
        Must not exist, or be empty.
    mod : sequence of Path
        Folders of .mod files, or such files; without any the shipped mechanisms are used.
    cell : Path, optional
        A template file; by default the shipped patch.
    template : str, optional
        The template or class in it; by default the last that can be built.
    progress : callable, optional
        Called with what is done, in words.

    Raises
    ------
    MechanismError
        If no mechanism can be used.
    TemplateError
        If no cell can be built.
    ResultError
        If the folder is taken or cannot be written.
    """
    say = progress or (lambda _: None)
    target = expanded(folder).resolve()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ResultError(f"{target} exists already; choose another name for the project")
    say("mechanisms")
    given = list(mod) or [shipped("mod")]
    found = survey(given, lambda name: say(name))
    inserted = _inserted(mod_files(given), found, cell)
    say("cell")
    used = _cell(cell, template, inserted)
    drafts, left_out = _drafts(found, used, inserted, say)
    if not drafts:
        told = "; ".join(f"{n}: {reason}" for n, reason in left_out.items())
        raise MechanismError(f"there is no mechanism to begin with: {told}")
    experiments = {draft.name: Experiment.from_data(draft.data) for draft in drafts}
    texts: dict[str, str] = {}
    models: dict[str, dict[str, Any]] = {}
    for name, experiment in experiments.items():
        files = sources_of(experiment)
        own = with_own_files(experiment, files.texts, files.places)
        texts |= {n: t for n, t in files.texts.items() if not _is_shipped(n, t)}
        models[name] = own.to_data()["model"]

    def write(temporary: Path) -> None:
        write_sources(temporary, texts)
        for draft in drafts:
            place = temporary / "experiments" / draft.name
            place.mkdir(parents=True)
            (place / "experiment.yaml").write_text(yaml_of(draft), encoding="utf-8")
            (place / "README.md").write_text(readme_of(draft), encoding="utf-8")
            group = temporary / "conf" / "model"
            group.mkdir(parents=True, exist_ok=True)
            text = _model_text(draft, models[draft.name])
            (group / f"{draft.name}.yaml").write_text(text, encoding="utf-8")
        for name in ("mod", "templates"):
            (temporary / name).mkdir(exist_ok=True)
        first = next((d for d in drafts if d.is_synapse), None)
        if first is not None:
            (temporary / "connections.csv").write_text(_table(first), encoding="utf-8")
        readme = _readme(target.name, drafts, left_out, used)
        (temporary / "README.md").write_text(readme, encoding="utf-8")

    if target.is_dir():  # empty
        target.rmdir()
    write_folder(target, write)
    return Project(target, tuple(experiments), left_out)


def _inserted(files: Sequence[Path], found: Survey, cell: Path | None) -> list[str]:
    """Return the files of the density mechanisms that a template speaks of."""
    if cell is None:
        return []
    words = words_of(cell) if cell.is_file() else set()
    names = {p: nmodl.read(p).name for p in files if str(p) in found.others}
    return [str(p.resolve()) for p, name in names.items() if name in words]


def _cell(cell: Path | None, template: str | None, inserted: Sequence[str]) -> CellFile:
    if cell is None:
        return PATCH
    return find_cell(expanded(cell).resolve(), template, inserted)


def _drafts(
    found: Survey, cell: CellFile, inserted: Sequence[str], say: Callable[[str], object]
) -> tuple[list[Draft], dict[str, str]]:
    drafts, left_out = [], dict(found.failures)
    names: set[str] = set()
    for surveyed in found.point_processes:
        record, reason = surveyed, ""
        if record.random and record.kind == "synapse" and record.calibration is None:
            say(record.name)
            try:
                record = calibrated_over_trials(record)
            except StpspecError as error:
                reason = str(error)
        reason = reason or _why_not(record)
        if not reason and record.name in names:
            reason = "another file defines a mechanism of this name"
        if reason:
            left_out[record.name if record.name not in names else record.file] = reason
            continue
        names.add(record.name)
        say(record.name)
        try:
            drafts.append(with_targets(draft_of(record, cell, inserted)))
        except StpspecError as error:
            left_out[record.name] = str(error)
    # The first is the example of the README: a synapse, with plasticity if there is one.
    # One that is simulated a hundred times is the slowest.
    drafts.sort(key=lambda d: (not d.is_synapse, "trials" in d.data,
                               -len(d.data.get("parameters", {}))))  # fmt: skip
    return drafts, left_out


def _why_not(record: PointProcessRecord) -> str:
    """Return why a mechanism gets no experiment; empty if it gets one."""
    if record.kind == "point process":
        return "it receives no events, and is no gap junction"
    if record.kind == "gap junction":
        return ""
    if record.calibration is None:
        return record.not_calibrated
    if record.to_be_given and not _takes_several_weights():
        given = ", ".join(record.to_be_given)
        return f"its NetCon needs {given} beside the weight, and net_con.weight is one number"
    if not record.calibration.answers:
        return "; ".join(record.calibration.notes)
    return ""


def _takes_several_weights() -> bool:
    try:
        NetCon.model_validate({"weight": [1.0, 1.0]})
    except ValueError:
        return False
    return True


def _is_shipped(name: str, text: str) -> bool:
    folder, _, file = name.partition("/")
    ours = shipped(folder) / file
    return ours.is_file() and ours.read_text(encoding="utf-8", errors="replace") == text


def _model_text(draft: Draft, model: dict[str, Any]) -> str:
    kept = {k: model[k] for k in draft.data["model"] if k in model}
    kept["cell"] = {k: v for k, v in model["cell"].items() if v or k != "arguments"}
    return (
        f"# {draft.title}\n{block(kept, {k: v for k, v in draft.remarks.items() if k in kept})}\n"
    )


def _table(draft: Draft) -> str:
    """Return a table of two connections for a campaign, with the targets of an experiment."""
    terms = {n: t["target"] for n, t in draft.data["objective"]["terms"].items()}
    rows = [["connection", *terms]]
    rows += [[name, *(f"{v * f:.4g}" for v in terms.values())]
             for name, f in (("first", 1.0), ("second", 0.98))]  # fmt: skip
    return "\n".join(",".join(row) for row in rows) + "\n"


def _readme(name: str, drafts: Sequence[Draft], left_out: dict[str, str], cell: CellFile) -> str:
    first = drafts[0].name
    lines = [
        f"# {name}",
        "",
        f"Synapse experiments on `{cell.template}` (`{cell.file.name}`), written by "
        "`stpspec init`. All commands are given in this folder.",
        "",
        "Each experiment is a YAML file. Its targets are what the mechanism gives with its default "
        "values, so that everything works from the beginning: **replace them by measured values**, "
        "each with its standard deviation `sd`.",
        "",
        "```bash",
        f"stpspec check {first}                  # all problems at once, nothing is simulated",
        f"stpspec run {first}                    # one simulation, with all arithmetic",
        f"stpspec fit {first}                    # the parameters that give the targets",
    ]
    if drafts[0].is_synapse:
        lines += [
            f"stpspec sweep {first} 'protocols.train.frequency=[5,10,20,50]'",
            f"stpspec tune {first}                   # sliders in the browser",
            f"stpspec campaign connections.csv {first}   # one fit for each row of a table",
        ]
    lines += ["```", "", "| experiment | mechanism | free parameters |", "|---|---|---|"]
    lines += [
        f"| [{d.name}](experiments/{d.name}/experiment.yaml) | {d.title} | "
        f"{', '.join(d.data['parameters']) or '–'} |"
        for d in drafts
    ]
    lines += [
        "",
        "`conf/model/` holds the models (cell, mechanism, place, fixed values), `mod/` the "
        "mechanisms, `templates/` the cell. `stpspec inspect mod` lists what each mechanism has.",
        "",
    ]
    if left_out:
        lines += ["Without an experiment:", ""]
        lines += [f"- `{Path(n).name}`: {one_line(r)}" for n, r in left_out.items()]
        lines.append("")
    return "\n".join(lines)
