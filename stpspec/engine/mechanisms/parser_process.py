"""Process in which NEURON's parser reads .mod files.

Run as a script: what makes the parser abort ends this process only. Its first argument is the
file to write, the others are .mod files. A line is written when the parser is there, and one for
each file: its syntax tree, or ``null`` where the parser cannot read it.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path


def _main(target: str, paths: list[str]) -> None:
    from neuron.nmodl import NmodlDriver, to_json  # pyright: ignore

    with Path(target).open("w", encoding="utf-8") as lines:
        print(json.dumps("ready"), file=lines, flush=True)
        for path in paths:
            os.chdir(Path(path).parent)  # where nrnivmodl looks for what is included
            text = Path(path).read_text(encoding="utf-8", errors="replace")
            try:
                tree = to_json(NmodlDriver().parse_string(text), True)
            except RuntimeError:
                tree = "null"
            print(tree, file=lines, flush=True)


if __name__ == "__main__":
    _main(sys.argv[1], sys.argv[2:])
