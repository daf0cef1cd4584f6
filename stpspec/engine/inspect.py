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
from stpspec.spec.experiment import AnyModel, AnyRecording
from stpspec.spec.parameters import Parameter


def main() -> None:
    """Do the job on standard input."""
    job = json.load(sys.stdin)
    sys.path[:] = job["path"]
    # NEURON, HOC and nrnivmodl may write to standard output: keep the real one for the answer.
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    given = job["parts"]
    import_plugins(given.get("plugins", []))
    parts = {"model": TypeAdapter(AnyModel).validate_python(given["model"])}
    if "recording" in given:
        parts["recording"] = TypeAdapter(AnyRecording).validate_python(given["recording"])
    parts["parameters"] = {
        n: Parameter.model_validate(p) for n, p in given.get("parameters", {}).items()
    }
    with search_in(job["folders"]):
        problems: list[Problem] = examine(parts)[0]
    answer.write(json.dumps([dataclasses.asdict(p) for p in problems], default=repr) + "\n")
    answer.close()


if __name__ == "__main__":
    main()
