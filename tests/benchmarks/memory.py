"""Memory over many evaluations without traces, in a process of its own: prints JSON.

    python memory.py EVALUATIONS

On a patch, so that it takes a minute; what could leak (rigs, recordings, measurements) is the same.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import problem

EVERY = 2048


def resident() -> float:
    """Return the resident memory of this process, MB."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(x.split()[1]) for x in lines if x.startswith("VmRSS")) / 1024


def main(n: int) -> None:
    from stpspec.engine.binding.bind import bind
    from stpspec.engine.binding.numerics import for_search
    from stpspec.engine.simulate import evaluate
    from stpspec.metrics.judge import Judge
    from stpspec.specs.experiment import Experiment

    data = problem.data({"amplitude": 8.0, "paired_pulse_ratio": 1.0, "induction": -0.5})
    data["model"]["cell"] = {"file": "patch.py", "template": "Patch"}
    experiment = Experiment.from_data(data)
    bound, requests = for_search(bind(experiment)), Judge(experiment.objective).requests
    seen, done = [], 0
    while done < n:
        evaluate(bound, problem.drawn(256, seed=done), list(experiment.protocols), requests)
        done += 256
        if done % EVERY == 0 or done >= n:
            seen.append([done, resident()])
            print(*seen[-1], file=sys.stderr, flush=True)
    print(json.dumps(seen))


if __name__ == "__main__":
    main(int(sys.argv[1]))
