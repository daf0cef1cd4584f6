"""Inspection of specs against NEURON in a process of its own: both ends of one pipe.

``python -m stpspec.engine.binding.inspection`` reads one JSON job from standard input and writes
the problems of each of its experiments as one line of JSON: one process is enough for a campaign.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter

from stpspec.engine.binding.bind import examine
from stpspec.errors import SpecProblem
from stpspec.registry import import_plugins
from stpspec.specs.base import Spec
from stpspec.specs.experiment import Experiment

_PATIENCE = 300  # s; compiling a folder of mechanisms takes a minute or two


def check_parts(several: Sequence[Mapping[str, Any]]) -> list[list[SpecProblem]]:
    """Ask NEURON about the valid parts of several experiments, all in one process of its own.

    Parameters
    ----------
    several : sequence of mapping
        As :func:`stpspec.specs.experiment.examine` returns them.

    Returns
    -------
    list of list of SpecProblem
        For each experiment, those that only the loaded mechanism and the built cell can tell.
    """
    found: list[list[SpecProblem]] = [[] for _ in several]
    asked = [index for index, parts in enumerate(several) if "model" in parts]
    wanted = [{name: _dump(p) for name, p in several[index].items()} for index in asked]
    for index, problems in zip(asked, _check_in_subprocess(wanted) if asked else [], strict=True):
        found[index] = problems
    return found


def _dump(part: Any) -> Any:
    if isinstance(part, dict):
        return {name: _dump(value) for name, value in part.items()}
    return part.model_dump(mode="json") if isinstance(part, Spec) else part


def _check_in_subprocess(several: Sequence[Mapping[str, Any]]) -> list[list[SpecProblem]]:
    job = {"parts": several, "path": sys.path}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "stpspec.engine.binding.inspection"],
            input=json.dumps(job), capture_output=True, text=True, timeout=_PATIENCE,
        )  # fmt: skip
        ended = f"ended with code {done.returncode}"
        said = " / ".join(done.stderr.strip().splitlines()[-3:]) or "no message"
    except subprocess.TimeoutExpired:
        done, ended, said = None, f"was stopped after {_PATIENCE} s", "does a template never end?"
    if done is None or done.returncode != 0 or not done.stdout.strip():
        if len(several) > 1:  # find whose it is; the others are examined all the same
            return [_check_in_subprocess([parts])[0] for parts in several]
        rule = f"the process that loads the mechanisms and builds the cell {ended}: {said}"
        return [[SpecProblem("model.cell", rule)]]  # or the mechanism: that is not known
    told = json.loads(done.stdout.splitlines()[-1])
    return [[SpecProblem(**p) for p in problems] for problems in told]


def main() -> None:
    """Do the job on standard input."""
    job = json.load(sys.stdin)
    sys.path[:] = job["path"]
    # NEURON, HOC and nrnivmodl may write to standard output: keep the real one for the answer.
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    found = [[dataclasses.asdict(p) for p in _problems(given)] for given in job["parts"]]
    answer.write(json.dumps(found, default=repr) + "\n")
    answer.close()


def _problems(given: Mapping[str, Any]) -> list[SpecProblem]:
    import_plugins(given.get("plugins", []))
    parts = {
        name: TypeAdapter(field.rebuild_annotation()).validate_python(given[name])
        for name, field in Experiment.model_fields.items()
        if name in given
    }
    parts["wrong"] = given.get("wrong", [])
    return examine(parts)[0]


if __name__ == "__main__":
    main()
