"""Multirun: hand the jobs over to Hydra's launcher; one that fails lets the others run."""

from __future__ import annotations

import argparse
import datetime
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from stpspec import log
from stpspec.cli.terminal import FAILED, complain
from stpspec.config.locations import FILE, relative
from stpspec.errors import StpspecError
from stpspec.formatting import PASSWORD_VARIABLE, known_passwords
from stpspec.resources import extra_folders, search_in, shipped
from stpspec.results import multirun

if TYPE_CHECKING:
    from stpspec.campaigns.plan import Connection
    from stpspec.config.compose import DictConfig
    from stpspec.config.locations import Origin

Action = Callable[[argparse.Namespace, dict[str, object], "Origin"], int]
"""What a job does: the arguments, the composed data and their origin → exit code."""


@dataclass
class Task:
    """What one job does; it may be sent to another process by the joblib or submitit launcher."""

    arguments: argparse.Namespace
    action: Action
    file: Path | None
    folders: tuple[Path, ...]

    def __call__(self, config: DictConfig) -> str:
        from hydra.core.hydra_config import HydraConfig

        from stpspec.config.compose import data_of, with_files_located

        here = HydraConfig.get()
        overrides = [self._shown(str(o).lstrip("+")) for o in here.overrides.task]
        folder = Path(here.runtime.output_dir)
        out = str(folder / multirun.RESULT)
        mine = argparse.Namespace(**{**vars(self.arguments), "out": out})
        log.enable()
        print(f"\n── job {here.job.num}: {' '.join(overrides)}", flush=True)
        multirun.begin(folder, overrides)
        try:
            with search_in(self.folders):
                data, origin = data_of(config, self.file)
                data = with_files_located(data, self.file)
                code = self.action(mine, data, origin)
        except Exception as error:  # whatever it is, the other jobs run
            multirun.end(folder, overrides, error)
            complain(error, mine.traceback)
            return "failed"
        multirun.end(folder, overrides, interrupted=code == FAILED)
        if code == FAILED:  # Ctrl-C is meant for all of them; what this one had found is kept
            raise KeyboardInterrupt
        return "done"

    def _shown(self, override: str) -> str:
        """Return an override as people write it: an experiment file by its own name."""
        if self.file is not None and override == f"experiment={FILE}":
            return f"experiment={relative(self.file)}"
        return override


@dataclass
class ConnectionTask:
    """What one job of a campaign does: fit the connection whose name the launcher hands over."""

    root: Path
    labels: dict[str, str]
    quiet: bool

    def __call__(self, config: DictConfig) -> str:
        from stpspec.campaigns.run import fit_connection
        from stpspec.cli.summaries import status_line

        log.enable()
        name = str(config.connection)
        status = fit_connection(self.root / name)
        if not self.quiet:
            print(status_line(self.labels[name], status), flush=True)
        if status == "interrupted":  # Ctrl-C is meant for all of them
            raise KeyboardInterrupt
        return status


def launch_jobs(
    arguments: argparse.Namespace, action: Action, path: str | None, overrides: Sequence[str]
) -> int:
    """Run one job for each combination of the overrides, and sum up; return the exit code."""
    from stpspec.cli.summaries import sum_up_multirun
    from stpspec.config.compose import choose, fault_named, sources
    from stpspec.config.overrides import check_overrides, forced

    chosen, file = choose(path)
    check_overrides(overrides)
    stamp = datetime.datetime.now().strftime("%Y-%m-%d_%H-%M-%S-%f")
    sweep = arguments.out or f"stpspec-results/multirun/{stamp}"
    if Path(sweep).exists() and any(Path(sweep).rglob(multirun.JOB_FILE)):
        raise StpspecError(f"{sweep} holds the jobs of another multirun; choose another --out")
    words = [*chosen, *(forced(o) for o in overrides)]
    task = Task(arguments, action, file, extra_folders())
    with sources(file, overrides), fault_named(chosen, file, overrides):
        interrupted = _launch(task, words, sweep)
    print()
    return max(sum_up_multirun(sweep), int(interrupted))


def launch_campaign(
    arguments: argparse.Namespace,
    root: Path,
    pending: Sequence[Connection],
    launcher: Sequence[str],
) -> None:
    """Hand the connections of a campaign over to Hydra's launcher, one job each.

    Parameters
    ----------
    arguments : argparse.Namespace
    root : Path
        Of the campaign.
    pending : sequence of Connection
    launcher : sequence of str
        Overrides that choose and set it, such as ``hydra/launcher=joblib``.
    """
    from stpspec.config.compose import fault_named, sources
    from stpspec.config.overrides import check_overrides

    check_overrides(launcher)
    labels = {c.name: c.label for c in pending}
    names = ",".join(f"'{name}'" for name in labels)
    words = [f"+connection={names}", "hydra.sweep.subdir=${connection}", *launcher]
    task = ConnectionTask(root, labels, arguments.quiet)
    with sources(None, launcher), fault_named((), None, launcher):
        _launch(task, words, str(root))


def _launch(task: Callable[[DictConfig], str], words: Sequence[str], sweep: str) -> bool:
    """Let Hydra's launcher run the task for each combination; tell if it was interrupted.

    Raises
    ------
    StpspecError
        If the launcher cannot, as Slurm's cannot on another machine.
    """
    import hydra

    settings = [f"hydra.sweep.dir='{sweep}'", "hydra.job.chdir=false",
                "hydra.output_subdir=null", "hydra/job_logging=disabled",
                "hydra/hydra_logging=disabled", "hydra.job.name=stpspec"]  # fmt: skip
    known = known_passwords()
    if len(known) == 1:  # the jobs of other processes need it, too, and read it there
        os.environ.setdefault(PASSWORD_VARIABLE, unquote(known[0]))
    before, full = sys.argv, os.environ.get("HYDRA_FULL_ERROR", "0")
    sys.argv = ["stpspec", *words, *settings, "--multirun"]
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra's errors come to us, who know how to tell them
    try:
        conf = str(shipped("conf"))
        hydra.main(config_path=conf, config_name="config", version_base="1.3")(task)()
    except KeyboardInterrupt:
        print("\nstpspec: interrupted; the jobs so far are kept", file=sys.stderr)
        return True
    except RuntimeError as error:  # what a job raises is kept with the job
        raise StpspecError(f"the launcher could not run the jobs: {error}") from error
    finally:
        sys.argv, os.environ["HYDRA_FULL_ERROR"] = before, full
        log.enable()  # also when Hydra has ended before any job began
    return False
