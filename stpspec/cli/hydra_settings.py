"""Settings of Hydra among the overrides: those that are taken, and what replaces the others."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from stpspec.cli.terminal import UsageError

RUN, SWEEP, SUBDIR = "hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir"
_OF_JOBS = ("hydra/launcher", "hydra.launcher", "hydra/sweeper", "hydra.sweeper", "hydra.job.env")

# What has a name of its own here.
_MEANT = {
    "hydra.mode": "-m makes one job of each combination",
    "hydra.verbose": "--log-level debug says more",
    "hydra.searchpath": "--config-dir DIR adds a folder of configurations",
    "hydra.job.name": "name=… names an experiment",
}
_TAKEN = (
    f"{RUN}, {SWEEP}, {SUBDIR}, hydra/launcher, hydra.launcher.…, hydra/sweeper, hydra.sweeper.…"
)


@dataclass(frozen=True)
class HydraSettings:
    """The overrides of Hydra's own settings on one command line.

    Attributes
    ----------
    folder : str or None
        What ``hydra.run.dir``, or of jobs ``hydra.sweep.dir``, is set to, as an override.
    launcher : list of str
        Overrides for Hydra's launcher and sweeper.
    """

    folder: str | None
    launcher: list[str]


def separate(
    overrides: Sequence[str], arguments: argparse.Namespace
) -> tuple[list[str], HydraSettings]:
    """Separate the settings of Hydra from the overrides of the experiment.

    Parameters
    ----------
    overrides : sequence of str
    arguments : argparse.Namespace
        Of the verb: with ``-m``, or of a campaign, there are jobs.

    Raises
    ------
    UsageError
        If one of them has no effect here; the message says what has.
    """
    settings = [word for word in overrides if _key(word).startswith(("hydra.", "hydra/"))]
    rest = [word for word in overrides if word not in settings]
    is_campaign = arguments.verb == "campaign"
    jobs = getattr(arguments, "multirun", False) or is_campaign
    folder, launcher = None, []
    for word in settings:
        key = _key(word)
        if not hasattr(arguments, "out"):
            raise UsageError(
                f"{arguments.verb} writes no result and starts no job: leave out {word}"
            )
        if key in (RUN, SWEEP):
            if key != (SWEEP if jobs else RUN):
                raise UsageError(
                    f"{key} is for {_USES[key]}: --out DIR, or {SWEEP if jobs else RUN}"
                )
            if arguments.out:
                raise UsageError(f"--out and {key} name two folders: give one")
            folder = word
        elif key == SUBDIR or key.startswith(_OF_JOBS):
            if not jobs:
                raise UsageError(f"{key} is for {_USES[SWEEP]}: add -m, or leave it out")
            if key == SUBDIR and is_campaign:
                raise UsageError(f"{key}: the folders of a campaign are called as its connections")
            launcher.append(word)
        else:
            meant = next((m for k, m in _MEANT.items() if key.startswith(k)), "")
            raise UsageError(f"{key} has no effect here: {meant or f'taken are {_TAKEN}'}")
    return rest, HydraSettings(folder, launcher)


def check_subdir(settings: Sequence[str], overrides: Sequence[str]) -> None:
    """Raise unless each job of a multirun has a folder of its own, inside of the multirun's.

    Parameters
    ----------
    settings : sequence of str
        Of Hydra.
    overrides : sequence of str
        Of the experiment.

    Raises
    ------
    UsageError
        If jobs would be lost to those who look for them, or meet.
    """
    from stpspec.config.overrides import number_of_jobs

    for word in settings:
        value = word.partition("=")[2].strip("'\"")
        if _key(word) != SUBDIR or word.startswith("~"):
            continue
        if value.startswith(("/", "~")) or ".." in value.split("/"):
            raise UsageError(f"{SUBDIR} names a folder inside of {SWEEP}; received {value!r}")
        if "${" not in value and number_of_jobs(overrides) > 1:
            raise UsageError(
                f"{word} is one folder for all jobs: name what differs between them, such as "
                f"'{SUBDIR}=${{hydra.job.num}}'"
            )


_USES = {RUN: "one result", SWEEP: "the jobs of -m"}


def _key(word: str) -> str:
    return word.lstrip("+~").partition("=")[0]
