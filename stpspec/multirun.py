"""Multirun: hand the jobs over to Hydra's launcher; one that fails lets the others run."""

from __future__ import annotations

import argparse
import datetime
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stpspec import jobs, log
from stpspec.errors import StpspecError
from stpspec.resources import extra_folders, search_in, shipped


@dataclass
class Task:
    """What one job does; it may be sent to another process by the joblib or submitit launcher."""

    arguments: argparse.Namespace
    file: Path | None
    folders: tuple[Path, ...]

    def __call__(self, config: Any) -> str:
        from hydra.core.hydra_config import HydraConfig

        from stpspec import commands
        from stpspec.config import beside, data_of

        here = HydraConfig.get()
        overrides = [str(o).lstrip("+") for o in here.overrides.task]
        folder = Path(here.runtime.output_dir)
        out = str(folder / jobs.RESULT)
        mine = argparse.Namespace(**{**vars(self.arguments), "out": out})
        log.enable()
        print(f"\n── job {here.job.num}: {' '.join(overrides)}", flush=True)
        jobs.begin(folder, overrides)
        try:
            with search_in(self.folders):
                data, origin = data_of(config, self.file)
                data = beside(data, self.file)
                code = {"fit": commands.fit, "run": commands.run}[mine.verb](mine, data, origin)
        except Exception as error:  # whatever it is, the other jobs run
            jobs.end(folder, overrides, f"{type(error).__name__}: {error}")
            commands.complain(error, mine.traceback)
            return "failed"
        jobs.end(folder, overrides, interrupted=code != 0)
        if code != 0:  # Ctrl-C is meant for all of them; what this one had found is kept
            raise KeyboardInterrupt
        return "done"


def multirun(arguments: argparse.Namespace, path: str | None, overrides: Sequence[str]) -> int:
    """Run one job for each combination of the overrides; return the exit code."""
    import hydra

    from stpspec import commands
    from stpspec.config import check_overrides, choose, forced, readable, sources

    chosen, file = choose(path)
    check_overrides(overrides)
    stamp = datetime.datetime.now().strftime("%Y-%m-%d_%H-%M-%S-%f")
    sweep = arguments.out or f"stpspec-results/multirun/{stamp}"
    if Path(sweep).exists() and any(Path(sweep).rglob(jobs.JOB_FILE)):
        raise StpspecError(f"{sweep} holds the jobs of another multirun; choose another --out")
    words = [*chosen, *(forced(o) for o in overrides)]
    settings = [f"hydra.sweep.dir='{sweep}'", "hydra.job.chdir=false",
                "hydra.output_subdir=null", "hydra/job_logging=disabled",
                "hydra/hydra_logging=disabled", "hydra.job.name=stpspec"]  # fmt: skip
    task = Task(arguments, file, extra_folders())
    interrupted = False
    before, full = sys.argv, os.environ.get("HYDRA_FULL_ERROR", "0")
    sys.argv = ["stpspec", *words, *settings, "--multirun"]
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra's errors come to us, who know how to tell them
    try:
        with sources(file, overrides), readable(chosen, file, overrides):
            conf = str(shipped("conf"))
            hydra.main(config_path=conf, config_name="config", version_base="1.3")(task)()
    except KeyboardInterrupt:
        print("\nstpspec: interrupted; the jobs so far are kept", file=sys.stderr)
        interrupted = True
    finally:
        sys.argv, os.environ["HYDRA_FULL_ERROR"] = before, full
    print()
    return max(commands.collect(sweep), int(interrupted))
