"""Process in which NEURON's parser reads .mod files.

Run as a script: what makes the parser abort ends this process only. Its arguments are the file to
write, and a file with a list of texts. A line is written when the parser is there, and one for each
text: its syntax tree, or ``null`` where the parser cannot read it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def _main(target: str, source: str) -> None:
    from neuron.nmodl import NmodlDriver, to_json  # pyright: ignore

    texts = json.loads(Path(source).read_text(encoding="utf-8"))
    with Path(target).open("w", encoding="utf-8") as lines:
        print(json.dumps("ready"), file=lines, flush=True)
        for text in texts:
            try:
                tree = to_json(NmodlDriver().parse_string(text), True)
            except RuntimeError:
                tree = "null"
            print(tree, file=lines, flush=True)


if __name__ == "__main__":
    _main(*sys.argv[1:])
