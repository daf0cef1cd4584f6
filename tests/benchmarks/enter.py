"""From Enter to the printed table: processor seconds of a command and its children.

``python enter.py WORD…`` is the command itself; it ends by writing to standard error the seconds at
the last line that it printed before it saved anything.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

IMPORTS = "import numpy, scipy.optimize, xarray, neuron"
VERBS = {"check": 1.0, "run": 2.0, "fit": 2.6}
SAVED = "files in "


def multiples(rounds: int) -> dict[str, tuple[float, float]]:
    """Return verb → medians of its time up to the table, and of its whole, as multiples.

    They are multiples of what it takes to import the libraries; both are measured in turns.
    """
    medians = {}
    with tempfile.TemporaryDirectory() as folder:
        for verb in VERBS:
            words = [__file__, verb, "experiment=pvalb_pyr"]
            _measured(words, folder)  # fills the caches
            ratios = []
            for _ in range(rounds):
                libraries, _ = _measured(["-c", IMPORTS], folder)
                whole, said = _measured(words, folder)
                ratios.append((float(said.splitlines()[-1]) / libraries, whole / libraries))
            first, second = zip(*ratios, strict=True)
            medians[verb] = (statistics.median(first), statistics.median(second))
    return medians


def _measured(words: list[str], folder: str) -> tuple[float, str]:
    """Return the processor seconds of a Python process, and what it wrote to standard error."""
    before = _seconds(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, *words], cwd=folder, capture_output=True, text=True, check=True,
        env=os.environ | {"MPLBACKEND": "Agg"},
    )  # fmt: skip
    return _seconds(resource.RUSAGE_CHILDREN) - before, done.stderr


def _seconds(who: int) -> float:
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


class _Timed:
    """Standard output that notes when the table was written."""

    def __init__(self) -> None:
        self.stream, self.at = sys.stdout, 0.0

    def write(self, text: str) -> int:
        if text.strip() and SAVED not in text:
            self.at = _seconds(resource.RUSAGE_SELF) + _seconds(resource.RUSAGE_CHILDREN)
        return self.stream.write(text)

    def flush(self) -> None:
        self.stream.flush()


if __name__ == "__main__":
    sys.path.remove(str(Path(__file__).resolve().parent))
    timed = _Timed()
    sys.stdout = timed
    from stpspec.cli.main import main

    code = main(sys.argv[1:])
    print(f"\n{timed.at}", file=sys.stderr)
    sys.exit(code)
