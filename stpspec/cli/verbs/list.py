"""``stpspec list``: the names there are to choose from."""

from __future__ import annotations

import argparse
from pathlib import Path

from stpspec.cli import flags
from stpspec.cli.terminal import DONE, UsageError, show
from stpspec.cli.verb import Candidates, Verb

SORTS = (
    "experiments", "models", "recordings", "protocols", "metrics", "losses", "fitters",
    "mechanisms", "templates",
)  # fmt: skip


def _list(arguments: argparse.Namespace) -> int:
    from stpspec.cli import catalog
    from stpspec.errors import unknown_name
    from stpspec.resources import search_in

    unknown = [w for w in arguments.words if w not in SORTS]
    if unknown:
        raise UsageError(str(unknown_name("list", unknown[0], SORTS)))
    missing = [d for d in arguments.config_dir if not Path(d).is_dir()]
    if missing:
        raise UsageError(f"--config-dir: no such folder: {missing[0]}")
    with search_in(arguments.config_dir):
        show(catalog.text(arguments.words or SORTS))
    return DONE


def _complete(rest: list[str], _current: str) -> Candidates:
    return {sort: "" for sort in SORTS if sort not in rest}


VERB = Verb(
    summary="list what there is: experiments, models, metrics, fitters …",
    section="reference",
    usage="[SORT…]",
    words={"SORT": f"{', '.join(SORTS[:5])},\n{', '.join(SORTS[5:])}; by default all"},
    text="""\
List every name that an experiment may use, with one line that says what it is:
shipped ones, those of installed plug-ins, and experiments in experiments/; with
--config-dir those in a folder of your own, too.""",
    flags=(flags.config_dir,),
    examples=(
        ("list", "everything"),
        ("list metrics losses", "what an objective is written with"),
    ),
    action=_list,
    complete=_complete,
)
