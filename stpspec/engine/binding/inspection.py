"""Inspection of mechanisms and cells in a process of its own: both ends of one pipe.

``python -m stpspec.engine.binding.inspection`` reads one JSON job from standard input and writes
the facts of each of its questions as one line of JSON: one process is enough for a campaign. It
imports NEURON and what loads mechanisms and builds cells, nothing else.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Sequence

from stpspec.engine.binding.facts import Facts, Question, facts_from, gather, question_from
from stpspec.errors import SpecProblem

_PATIENCE = 300  # s; compiling a folder of mechanisms takes a minute or two


def inspect(questions: Sequence[Question]) -> list[Facts | SpecProblem]:
    """Ask NEURON in a process of its own.

    Returns
    -------
    list of Facts or SpecProblem
        A problem in the place of the facts of a question that ends the process.
    """
    from pydantic_core import to_jsonable_python

    job = {"questions": to_jsonable_python(list(questions)), "path": sys.path}
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
        if len(questions) > 1:  # find whose it is; the others are examined all the same
            return [inspect([question])[0] for question in questions]
        rule = f"the process that loads the mechanisms and builds the cell {ended}: {said}"
        return [SpecProblem("model.cell", rule)]  # or the mechanism: that is not known
    return [facts_from(data) for data in json.loads(done.stdout.splitlines()[-1])]


def main() -> None:
    """Do the job on standard input."""
    job = json.load(sys.stdin)
    sys.path[:] = job["path"]
    # NEURON, HOC and nrnivmodl may write to standard output: keep the real one for the answer.
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    facts = [dataclasses.asdict(gather(question_from(data))) for data in job["questions"]]
    answer.write(json.dumps(facts, default=sorted) + "\n")  # a set has no order
    answer.close()


if __name__ == "__main__":
    main()
