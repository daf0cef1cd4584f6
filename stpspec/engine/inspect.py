"""``python -m stpspec.engine.inspect``: check parts of a spec against NEURON, beside the caller.

Reads one JSON job from standard input and writes the problems of each of its experiments as one
line of JSON: one process is enough for a whole campaign.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Mapping
from typing import Any

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
    with search_in(job["folders"]):
        found = [[dataclasses.asdict(p) for p in _problems(given)] for given in job["parts"]]
    answer.write(json.dumps(found, default=repr) + "\n")
    answer.close()


def _problems(given: Mapping[str, Any]) -> list[Problem]:
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
