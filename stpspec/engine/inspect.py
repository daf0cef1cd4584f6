"""``python -m stpspec.engine.inspect``: check parts of a spec against NEURON, beside the caller.

Reads one JSON job from standard input and writes the problems as one line of JSON.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys

from pydantic import TypeAdapter

from stpspec.engine.bind import examine
from stpspec.errors import Problem
from stpspec.registry import import_plugins
from stpspec.resources import search_in
from stpspec.spec.experiment import Experiment


def main() -> None:
    """Do the job on standard input."""
    job = json.load(sys.stdin)
    sys.path[:] = job["path"]
    # NEURON, HOC and nrnivmodl may write to standard output: keep the real one for the answer.
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    import_plugins(job["parts"].get("plugins", []))
    parts = {
        name: TypeAdapter(field.rebuild_annotation()).validate_python(job["parts"][name])
        for name, field in Experiment.model_fields.items()
        if name in job["parts"]
    }
    parts["wrong"] = job["parts"].get("wrong", [])
    with search_in(job["folders"]):
        problems: list[Problem] = examine(parts)[0]
    answer.write(json.dumps([dataclasses.asdict(p) for p in problems], default=repr) + "\n")
    answer.close()


if __name__ == "__main__":
    main()
