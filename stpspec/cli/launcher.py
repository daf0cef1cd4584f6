"""Multirun: hand the jobs over to Hydra's launcher; one that fails lets the others run."""

from __future__ import annotations

import argparse
import contextlib
import datetime
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from stpspec import log
from stpspec.cli.terminal import FAILED, complain
from stpspec.config.locations import FILE
from stpspec.config.yaml_files import relative
from stpspec.errors import StpspecError
from stpspec.fitters import interrupts
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

        from stpspec.config.compose import data_of
        from stpspec.config.located_files import with_files_located

        here = HydraConfig.get()
        overrides = [self._shown(str(o).lstrip("+")) for o in here.overrides.task]
        # Not runtime.output_dir: there Hydra would replace a ${…} that belongs to the name.
        folder = Path(here.sweep.dir) / here.sweep.subdir
        out = str(folder / multirun.RESULT)
        mine = argparse.Namespace(**{**vars(self.arguments), "out": out})
        log.enable()
        print(f"\n── job {here.job.num}: {' '.join(overrides)}", flush=True)
        try:
            with _job():
                multirun.begin(folder, overrides)
                with search_in(self.folders):
                    data, origin = data_of(config, self.file)
                    data = with_files_located(data, self.file)
                    self.action(mine, data, origin)
                interrupts.hold()
                multirun.end(folder, overrides)
        except KeyboardInterrupt:  # it is meant for all of them; what this one had found is kept
            has_begun = (folder / multirun.JOB_FILE).exists()
            interrupts.note()
            if has_begun:
                multirun.end(folder, overrides, interrupted=True)
            return _interrupted()
        except Exception as error:  # whatever it is, the other jobs run
            multirun.end(folder, overrides, error)
            complain(error, mine.traceback)
            return "failed"
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
        try:
            with _job():
                status = fit_connection(self.root / name)
        except KeyboardInterrupt:
            return _interrupted()
        if not self.quiet:
            print(status_line(self.labels[name], status), flush=True)
        over = status == "interrupted" or interrupts.received() is not None
        return _interrupted() if over else status


@contextlib.contextmanager
def _job() -> Iterator[None]:
    """Have signals end one job in good order, in the command's process or in one of a launcher's.

    Raises
    ------
    KeyboardInterrupt
        If one has come before the job.
    """
    with interrupts.caught(for_good=True), interrupts.passed_on(False), interrupts.saved_first():
        interrupts.raise_lost()
        if (interrupt := interrupts.received()) is not None:
            raise interrupt
        yield


def _interrupted() -> str:
    """End a job that was interrupted. In the command's own process the others do not begin."""
    interrupts.note()
    if _is_launching:
        raise KeyboardInterrupt
    return "interrupted"  # the process of a launcher lets those of its jobs that wait be, likewise


_is_launching = False  # whether the launcher runs in this process


def launch_jobs(
    arguments: argparse.Namespace, action: Action, path: str | None, overrides: Sequence[str]
) -> int:
    """Run one job for each combination of the overrides, and sum up; return the exit code."""
    from stpspec.cli.experiment import folder_of
    from stpspec.cli.hydra_settings import check_subdir, separate
    from stpspec.cli.summaries import sum_up_multirun
    from stpspec.config.compose import choose, fault_named, sources
    from stpspec.config.overrides import check_overrides, forced
    from stpspec.results.folder import writable

    chosen, file = choose(path)
    overrides, settings = separate(overrides, arguments)
    check_overrides(overrides, several=True)
    check_overrides(settings.launcher)
    check_subdir(settings.launcher, overrides)
    stamp = datetime.datetime.now().strftime("%Y-%m-%d_%H-%M-%S-%f")
    sweep = arguments.out or f"stpspec-results/multirun/{stamp}"
    if settings.folder is not None:
        sweep = folder_of(path, [], settings.folder)
    if Path(sweep).exists() and any(Path(sweep).rglob(multirun.JOB_FILE)):
        raise StpspecError(f"{sweep} holds the jobs of another multirun; choose another --out")
    writable(Path(sweep) / "0")  # told now, and not by Hydra
    words = [*chosen, *(forced(o) for o in overrides), *settings.launcher]
    task = Task(arguments, action, file, extra_folders())
    with sources(file, overrides), fault_named(chosen, file, overrides):
        interrupted = _launch(task, words, sweep)
    print()
    if not interrupted and not any(Path(sweep).rglob(multirun.JOB_FILE)):
        raise StpspecError(f"there was no job to run: {' '.join(overrides)} gives no value")
    return max(sum_up_multirun(sweep), FAILED * interrupted)


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
    from stpspec.config.overrides import check_overrides, quoted

    check_overrides(launcher)
    labels = {c.name: c.label for c in pending}
    names = ",".join(map(quoted, labels))
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

    from stpspec.config.overrides import quoted

    global _is_launching
    settings = [f"hydra.sweep.dir={quoted(sweep)}", "hydra.job.chdir=false",
                "hydra.output_subdir=null", "hydra/job_logging=disabled",
                "hydra/hydra_logging=disabled", "hydra.job.name=stpspec"]  # fmt: skip
    known = known_passwords()
    if len(known) == 1:  # the jobs of other processes need it, too, and read it there
        os.environ.setdefault(PASSWORD_VARIABLE, unquote(known[0]))
    before, full = sys.argv, os.environ.get("HYDRA_FULL_ERROR", "0")
    sys.argv = ["stpspec", *words, *settings, "--multirun"]
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra's errors come to us, who know how to tell them
    try:
        conf, _is_launching = str(shipped("conf")), True
        with interrupts.passed_on():
            hydra.main(config_path=conf, config_name="config", version_base="1.3")(task)()
    except KeyboardInterrupt:
        return _told_of_interrupt()
    except RuntimeError as error:  # what a job raises is kept with the job
        if interrupts.received() is not None:  # a process that had not begun its job was ended
            return _told_of_interrupt()
        raise StpspecError(f"the launcher could not run the jobs: {error}") from error
    finally:
        _is_launching = False
        sys.argv, os.environ["HYDRA_FULL_ERROR"] = before, full
        log.enable()  # also when Hydra has ended before any job began
    return interrupts.received() is not None and _told_of_interrupt()


def _told_of_interrupt() -> bool:
    interrupts.note()
    print("\nstpspec: interrupted; the jobs so far are kept", file=sys.stderr)
    return True
