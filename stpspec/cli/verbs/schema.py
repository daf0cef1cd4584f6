"""``stpspec schema``: the JSON schema of experiment files and of their groups."""

from __future__ import annotations

import argparse

from stpspec.cli.terminal import DONE, UsageError
from stpspec.cli.verb import Candidates, Verb

SCHEMAS = ("experiment", "model", "recording", "protocol", "objective", "fitter", "numerics")


def _schema(arguments: argparse.Namespace) -> int:
    import json

    from stpspec.errors import unknown_name
    from stpspec.specs.schema import json_schema

    words = arguments.words
    if len(words) > 1 or any(w not in SCHEMAS for w in words):
        raise UsageError(str(unknown_name("schema", " ".join(words), SCHEMAS)))
    part = words[0] if words and words[0] != "experiment" else None
    print(json.dumps(json_schema(part), indent=2, ensure_ascii=False))
    return DONE


def _complete(rest: list[str], _current: str) -> Candidates:
    return {} if rest else dict.fromkeys(SCHEMAS, "")


VERB = Verb(
    summary="print the JSON schema of experiment files, or of one group",
    section="reference",
    usage="[GROUP]",
    words={"GROUP": f"{', '.join(SCHEMAS[:5])},\n{', '.join(SCHEMAS[5:])}; by default experiment"},
    text="""\
Print the JSON schema of experiment files, or of the files of one group, with
which editors complete and check them.""",
    examples=(
        ("schema > my_schema.json", "of experiment files"),
        ("schema protocol", "of the files in conf/protocol"),
    ),
    action=_schema,
    complete=_complete,
)
