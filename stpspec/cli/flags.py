"""Flags that several verbs take."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stpspec.cli.verb import FlagGroup


def multirun(group: FlagGroup) -> None:
    """Add ``-m``."""
    group.add_argument(
        "-m", "--multirun", action="store_true", help="one job per combination of listed values"
    )


def out(group: FlagGroup) -> None:
    """Add ``--out``."""
    group.add_argument("--out", metavar="DIR", help="where the results go")


def overwrite(group: FlagGroup) -> None:
    """Add ``--overwrite``."""
    group.add_argument("--overwrite", action="store_true", help="replace results in --out")


def config_dir(group: FlagGroup) -> None:
    """Add ``--config-dir``."""
    group.add_argument(
        "--config-dir", metavar="DIR", action="append", default=[],
        help="a folder of your own with conf groups, experiments/, mod/, templates/; "
        "may be repeated",
    )  # fmt: skip


def trust(group: FlagGroup) -> None:
    """Add ``--trust``."""
    group.add_argument(
        "--trust", action="store_true",
        help="run the code inside the results that are named, now and later",
    )  # fmt: skip


def quiet(group: FlagGroup) -> None:
    """Add ``--quiet``."""
    group.add_argument("--quiet", action="store_true", help="no progress bar")
