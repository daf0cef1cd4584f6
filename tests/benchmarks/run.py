"""All figures of docs/performance.md, from one run: ``make bench``.

    python tests/benchmarks/run.py [--rounds N] [--write FILE] [PART ...]

What is divided was measured in turns: by each of the two once, then by each again, and the ratio is
the median of those of the rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import bare
import conventional
import enter
import large
import numpy as np
import ours
import problem
import shown
import tuned

from stpspec.engine.binding.bind import bind
from stpspec.engine.binding.numerics import for_search
from stpspec.engine.workers.pool import Pool, Workers
from stpspec.metrics.judge import Judge

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
OTHER = Path(os.environ.get("STPSPEC_BENCH", Path.home() / ".cache" / "stpspec-bench"))
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"


CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
clock_name = "wall"


def clock(call: Callable[[], Any], *, wall: bool = False) -> float:
    """Return the seconds that a call takes."""
    now = time.perf_counter if wall else CLOCKS[clock_name]
    started = now()
    call()
    return now() - started


class Other:
    """The predecessor, in a process of its own environment."""

    def __init__(self) -> None:
        python = OTHER / "venv" / "bin" / "python"
        self.folder = OTHER / "mechanisms"
        self._install(python)
        arguments = [HERE / "predecessor.py", self.folder, ROOT / "templates" / "fast_spiking.hoc"]
        self.process = subprocess.Popen(
            [str(a) for a in (python, *arguments)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, bufsize=1, cwd=OTHER,
            env=os.environ | {"MPLBACKEND": "Agg"},
        )  # fmt: skip
        self._answer()

    def _install(self, python: Path) -> None:
        quiet: dict[str, Any] = {"check": True, "capture_output": True, "text": True}
        if not (OTHER / "installed").exists():
            subprocess.run([sys.executable, "-m", "venv", python.parent.parent], **quiet)
            wanted = ["bmtool==0.8.7", "ipywidgets"]
            subprocess.run([python, "-m", "pip", "install", "--quiet", *wanted], **quiet)
            (OTHER / "installed").touch()
        self.folder.mkdir(exist_ok=True)
        for name in ("GabaA.mod", "FastSpikingChannels.mod"):
            (self.folder / name).write_bytes((ROOT / "mod" / name).read_bytes())
        compiler = python.parent / "nrnivmodl"
        path = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
        environment = os.environ | {"PATH": path}
        subprocess.run([compiler], cwd=self.folder, env=environment, **quiet)

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        for line in self.process.stdout:  # it prints other things, too
            if line.startswith("{"):
                return json.loads(line)
        raise RuntimeError("the predecessor ended")

    def ask(self, do: str, **order: Any) -> tuple[float, Any]:
        """Let it do something; return its own seconds and the answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"do": do, **order}) + "\n")
        self.process.stdin.flush()
        answer = self._answer()
        return answer[clock_name], answer["answer"]


class Bench:
    """Measures part by part and keeps the lines of the table."""

    def __init__(self, rounds: int):
        self.rounds = rounds
        self.lines: list[tuple[str, str, str, bool | None]] = []
        self.times: list[tuple[str, str, str]] = []
        self.growth: list[str] = []
        self.other: Other | None = None
        self.reason = ""
        try:
            self.other = Other()
        except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
            said = getattr(error, "stderr", "") or str(error)
            self.reason = f"skipped: bmtool 0.8.7 cannot run here ({said.strip()[-120:]})"
        bind(ours.experiment(dict.fromkeys(problem.SDS, 1.0)))  # loads mechanisms and template
        self.targets = bare.measure(bare.simulate(problem.TRUTH, problem.DT / 5))

    def line(self, figure: str, measured: str, must: str, met: bool | None = None) -> None:
        """Keep one line of the table."""
        self.lines.append((figure, measured, must, met))
        print(f"{figure}: {measured} (must: {must or '-'})", file=sys.stderr, flush=True)

    def turns(self, calls: Mapping[str, Callable[[], float]]) -> dict[str, list[float]]:
        """Call each once untimed, then all in turns; return the seconds of each."""
        for call in calls.values():
            call()
        seconds: dict[str, list[float]] = {name: [] for name in calls}
        for _ in range(self.rounds):
            for name, call in calls.items():
                seconds[name].append(call())
        return seconds

    def ratio(self, seconds: Mapping[str, list[float]], above: str, below: str) -> float:
        """Return the median over the rounds of one time over another."""
        return statistics.median(a / b for a, b in zip(seconds[above], seconds[below], strict=True))

    def at_least(self, figure: str, value: float, must: float) -> None:
        self.line(figure, f"{value:.3g}", f"≥ {must:g}", value >= must)

    def skipped(self, *figures: str) -> bool:
        """Tell whether there is no predecessor; then say so in the table."""
        if self.other is not None:
            return False
        for figure in figures:
            self.line(figure, self.reason, "")
        return True

    # -- the parts --------------------------------------------------------------------------

    def fit(self) -> None:
        """The whole fit."""
        import stpspec

        found: dict[str, Any] = {}

        def timed(name: str, call: Callable[[], Any]) -> Callable[[], float]:
            def once() -> float:
                return clock(lambda: found.__setitem__(name, call()))

            return once

        auto, middle, fixed = (
            ours.experiment(self.targets, *a, **k)
            for a, k in (((), {}), (("middle",), {}), ((), {"integrator": "fixed"}))
        )
        calls = {
            "search": timed("search", lambda: ours.search(auto)),
            "search from the middle": timed("search from the middle", lambda: ours.search(middle)),
            "fit": timed("fit", lambda: stpspec.fit(auto)),
            "fit from the middle": timed("fit from the middle", lambda: stpspec.fit(middle)),
        }
        heavy = {
            "fit, fixed step": timed("fit, fixed step", lambda: stpspec.fit(fixed)),
            "conventional": timed("conventional", lambda: conventional.fit(self.targets)),
        }
        seconds: dict[str, list[float]] = {n: [] for n in (*calls, *heavy, "predecessor")}
        for call in calls.values():
            call()
        for k in range(self.rounds):
            if self.other is not None:
                took, found["predecessor"] = self.other.ask("fit", targets=self.targets)
                seconds["predecessor"].append(took)
            for name, call in calls.items():
                seconds[name].append(call())
            if k == 0:  # slow, and not in the ratios: once
                for name, call in heavy.items():
                    seconds[name].append(call())
        self._losses(found, seconds)

    def _losses(self, found: Mapping[str, Any], seconds: dict[str, list[float]]) -> None:
        answers = {n: (f.best.values, len(f.history)) for n, f in found.items() if "search" in n}
        answers |= {
            n: (f.parameters, f.history.sizes["evaluation"])
            for n, f in found.items() if n.startswith("fit")
        }  # fmt: skip
        answers["conventional"] = found["conventional"]
        if self.other is not None:
            theirs = found["predecessor"]
            answers["predecessor"] = (theirs["values"], theirs["evaluations"])
        losses = {n: bare.score(values, self.targets) for n, (values, _) in answers.items()}
        for name, (_, n) in answers.items():
            median = statistics.median(seconds[name])
            self.times.append((name, f"{median:.2f} s, {n} evaluations", f"{losses[name]:.1e}"))
        if self.skipped("whole fit: predecessor ÷ stpspec"):
            return
        for name, must in (("search", 100), ("search from the middle", 100), ("fit", 50),
                           ("fit from the middle", 50)):  # fmt: skip
            worse = losses[name] > losses["predecessor"]
            value = self.ratio(seconds, "predecessor", name)
            text = f"{value:.3g}; loss {losses[name]:.1e} against {losses['predecessor']:.1e}"
            what = name if name.startswith("search") else f"{name}, confirmed"
            self.line(f"whole fit, predecessor ÷ stpspec ({what})", text,
                      f"≥ {must}, loss no worse", value >= must and not worse)  # fmt: skip

    def candidates(self) -> None:
        """Candidates per second."""
        n = 32
        auto, variable, fixed = (ours.experiment(self.targets, integrator=i) for i in
                                 ("auto", "variable", "fixed"))  # fmt: skip
        cell = bare.Cell(problem.middle())
        calls: dict[str, Callable[[], float]] = {
            "as a fit searches": lambda: clock(lambda: ours.throughput(auto, n)) / n,
            "variable step": lambda: clock(lambda: ours.throughput(variable, n)) / n,
            "fixed step": lambda: clock(lambda: ours.throughput(fixed, n)) / n,
            "bare script": lambda: clock(lambda: bare.measure(bare.simulate(problem.TRUTH))),
            "conventional loop": lambda: clock(lambda: conventional.evaluate(cell, problem.TRUTH)),
        }
        if self.other is not None:
            ask = self.other.ask
            calls["predecessor"] = lambda: ask("evaluate", n=2)[0] / 2
        seconds = self.turns(calls)
        for name, s in seconds.items():
            self.times.append(
                (f"one candidate, {name}", f"{1e3 * statistics.median(s):.3g} ms", "")
            )
        figure = "candidates per second, stpspec ÷ "
        if not self.skipped(f"{figure}predecessor"):
            for name, must in (("as a fit searches", 60), ("variable step", 60),
                               ("fixed step", 10)):  # fmt: skip
                self.at_least(f"{figure}predecessor, {name}",
                              self.ratio(seconds, "predecessor", name), must)  # fmt: skip
        for than in ("conventional loop", "bare script"):
            both = [self.ratio(seconds, than, n) for n in ("variable step", "fixed step")]
            self.line(f"{figure}{than}, variable and fixed step",
                      f"{both[0]:.3g} and {both[1]:.3g}", "")  # fmt: skip

    def large(self) -> None:
        """Candidates per second on a cell of 311 compartments, with a synapse on a dendrite."""
        n = 64  # four batches
        for clamp in large.CLAMPS:
            auto, fixed = (large.searched(clamp, i) for i in ("auto", "fixed"))
            seconds = self.turns({
                "auto": lambda e=auto: clock(lambda: large.throughput(e, n)) / n,
                "fixed": lambda e=fixed: clock(lambda: large.throughput(e, n)) / n,
                "plain": lambda c=clamp: large.plain(c, clock),
            })  # fmt: skip
            where = f"dendritic synapse on 311 compartments, {clamp.replace('_', ' ')}"
            for how, name, must in (("as a fit searches", "auto", 20), ("fixed step", "fixed", 5)):
                self.at_least(f"candidates per second, stpspec ÷ conventional loop, {where}, {how}",
                              self.ratio(seconds, "plain", name), must)  # fmt: skip

    def one(self) -> None:
        """One candidate against the bare script."""
        bound = bind(ours.without_parameters(self.targets))
        seconds = self.turns({
            "ours": lambda: clock(lambda: ours.one(bound)),
            "bare": lambda: clock(lambda: bare.simulate(problem.TRUTH)),
        })  # fmt: skip
        value = self.ratio(seconds, "ours", "bare")
        self.line("one candidate through simulate ÷ bare NEURON script, both settle",
                  f"{value:.3f}", "≤ 1.10", value <= 1.10)  # fmt: skip

    def sweep(self) -> None:
        """The frequency response."""
        import stpspec

        fields = {"protocols.train.frequency": problem.FREQUENCIES}
        made = {i: ours.response(ours.experiment(self.targets, integrator=i))
                for i in ("auto", "variable")}  # fmt: skip
        seconds: dict[str, list[float]] = {"predecessor": [], "auto": [], "variable": []}
        stpspec.sweep(made["variable"], fields)
        stpspec.sweep(made["auto"], {"protocols.train.frequency": [100, 200]})
        for _ in range(self.rounds):
            if self.other is not None:
                took, _none = self.other.ask("frequency_response", frequencies=problem.FREQUENCIES)
                seconds["predecessor"].append(took)
            for name, experiment in made.items():
                seconds[name].append(clock(lambda e=experiment: stpspec.sweep(e, fields)))
        for name, s in seconds.items():
            if s:
                self.times.append(
                    (f"frequency response, {name}", f"{statistics.median(s):.2f} s", "")
                )
        figure = "frequency response over 16 frequencies, predecessor ÷ stpspec"
        if not self.skipped(figure):
            self.at_least(figure, self.ratio(seconds, "predecessor", "auto"), 50)
            kept = self.ratio(seconds, "predecessor", "variable")
            self.line(f"{figure} (on the cell: numerics.integrator: variable)", f"{kept:.3g}", "")

    def accuracy(self) -> None:
        """Amplitudes against a step of a tenth of the usual."""
        fine = np.array(ours.amplitudes(
            ours.experiment(self.targets, integrator="fixed", dt=problem.DT / 10)
        ))  # fmt: skip
        for name, label, must in (("auto", "as a fit searches", 1e-3),
                                  ("variable", "variable step", 1e-3),
                                  ("fixed", "fixed step", 2e-5)):  # fmt: skip
            got = np.array(ours.amplitudes(ours.experiment(self.targets, integrator=name)))
            worst = float((np.abs(got - fine) / fine).max())
            self.line(f"largest amplitude error against dt 0.0025, {label}", f"{worst:.1e}",
                      f"≤ {must:.0e}", worst <= must)  # fmt: skip

    def workers(self) -> None:
        """Throughput with worker processes."""
        made = ours.experiment(self.targets, integrator="variable")
        assert made.objective is not None
        bound, requests = for_search(bind(made)), Judge(made.objective).requests
        n = 64
        pools = {k: Pool(bound, Workers(k)) for k in (1, 2, 4)}
        try:
            seconds = self.turns({
                f"{k}": lambda p=p: clock(
                    lambda: p.evaluate(problem.drawn(n), ours.PROTOCOLS, requests), wall=True
                )
                for k, p in pools.items()
            })  # fmt: skip
        finally:
            for pool in pools.values():
                pool.__exit__(None, None, None)
        self.at_least("two workers against one, throughput", self.ratio(seconds, "1", "2"), 1.7)
        self._grows("workers", {k: n / statistics.median(s) for k, s in seconds.items()},
                    "candidates/s, variable step")  # fmt: skip

    def memory(self) -> None:
        """Memory over many evaluations."""
        done = subprocess.run([sys.executable, HERE / "memory.py", "20000"], capture_output=True,
                              text=True, check=True)  # fmt: skip
        seen = json.loads(done.stdout.splitlines()[-1])
        grown = seen[-1][1] - seen[0][1]
        self.line("memory over 20,000 evaluations without traces",
                  f"{seen[-1][1]:.0f} MB, {grown:+.1f} MB since evaluation {seen[0][0]}",
                  "flat, < 400 MB", seen[-1][1] < 400 and grown < 4)  # fmt: skip

    def studies(self) -> None:
        """What a study costs a fit, and how long one of 20,000 trials takes to be shown."""
        import stpspec

        budget = {"evaluations": 2000}
        fitters = {
            "TPE": {"kind": "optuna", "budget": budget},
            "random points, 16 at a time": {"kind": "optuna", "sampler": "random", "batch": 16,
                                            "budget": budget},
            "Nelder-Mead from 8 starts": {"kind": "minimize", "method": "Nelder-Mead",
                                          "start": "sobol", "n_starts": 8, "budget": budget},
        }  # fmt: skip
        with tempfile.TemporaryDirectory() as folder:
            names = iter(range(1000))
            for name, fitter in fitters.items():
                made = ours.experiment(self.targets).copy_with(fitter=fitter)

                def kept(made: Any = made) -> Any:
                    place = f"{folder}/{next(names)}.journal"
                    return stpspec.fit(made.copy_with(study={"name": "s", "storage": place}))

                def plain(made: Any = made) -> Any:
                    return stpspec.fit(made)

                seconds: dict[str, list[float]] = {"with": [], "without": []}
                for _ in range(self.rounds):
                    seconds["without"].append(clock(plain, wall=True))
                    seconds["with"].append(clock(kept, wall=True))
                value = self.ratio(seconds, "with", "without")
                self.line(f"fit of 2,000 evaluations with a study (journal) ÷ without, {name}",
                          f"{value:.2f}", "≤ 1.25", value <= 1.25)  # fmt: skip
            opened = shown.seconds_to_show(Path(folder), 20_000)
        for what, took in opened.items():
            must = ("< 10 s", took < 10) if what == shown.DRAWN else ("",)
            self.line(f"study of 20,000 trials, {what}", f"{took:.1f} s", *must)

    def tuner(self) -> None:
        """How long a move of a slider of the tuner takes in a browser."""
        if shutil.which("chromium") is None:
            return
        for what, (*_, most) in tuned.MOVES.items():
            moved, alone = tuned.milliseconds(what)
            figure = f"{moved:.0f} ms, {moved / alone:.1f} times its simulation"
            self.line(f"a move in the tuner, from key to paint: {what}", figure,
                      f"< {most} ms", moved < most)  # fmt: skip

    def startup(self) -> None:
        """Time to start."""
        command = Path(sys.executable).parent / "stpspec"
        for name, words, must in (
            ("stpspec --help", [command, "--help"], 0.5),
            ("import stpspec", [sys.executable, "-c", "import stpspec"], 0.3),
        ):
            times = [clock(lambda w=words: subprocess.run(w, capture_output=True, check=True), wall=True)  # noqa: E501
                     for _ in range(self.rounds + 1)][1:]  # fmt: skip
            value = statistics.median(times)
            self.line(name, f"{value:.2f} s", f"≤ {must} s", value <= must)

    def table(self) -> None:
        """From Enter to the printed table."""
        for verb, (value, whole) in enter.multiples(self.rounds).items():
            must = enter.VERBS[verb]
            what = f"stpspec {verb}, processor time up to the table ÷ that of `{enter.IMPORTS}`"
            text = (
                f"{value:.2f}; {whole:.2f} until all is saved"
                if verb != "check"
                else f"{value:.2f}"
            )
            self.line(what, text, f"≤ {must}", value <= must)

    def grows(self) -> None:
        """How cost grows."""
        for integrator in ("auto", "variable", "fixed"):
            made = ours.experiment(self.targets, integrator=integrator)
            for what, sizes, change in (
                ("candidates at once", (1, 4, 16, 64), None),
                ("induction pulses", (8, 16, 32, 64), ours.with_pulses),
                ("compartments", (2, 6, 24, 96), ours.with_compartments),
            ):
                cost = {}
                for size in sizes:
                    experiment = made if change is None else change(made, size)
                    n = size if change is None else 16
                    if integrator == "fixed" and n * size > 512:
                        continue  # a minute each
                    ours.throughput(experiment, n)
                    cost[str(size)] = (
                        1e3 * clock(lambda e=experiment, k=n: ours.throughput(e, k)) / n
                    )
                self._grows(what, cost, f"ms a candidate, integrator: {integrator}")

    def _grows(self, what: str, values: Mapping[str, float], unit: str) -> None:
        cells = " · ".join(f"{k}: {v:.3g}" for k, v in values.items())
        self.growth.append(f"| {what} | {unit} | {cells} |")
        print(self.growth[-1], file=sys.stderr, flush=True)

    # -- printing ---------------------------------------------------------------------------

    def text(self) -> str:
        """Return everything as Markdown."""
        words = {True: "yes", False: "**no**", None: ""}
        lines = ["| figure | measured | must | met |", "|---|---|---|---|"]
        lines += [f"| {f} | {m} | {must} | {words[met]} |" for f, m, must, met in self.lines]
        if self.times:
            lines += ["", "| what was timed | median | loss, re-scored |", "|---|---|---|"]
            lines += [f"| {' | '.join(t)} |" for t in self.times]
        if self.growth:
            lines += ["", "| with more | unit | cost |", "|---|---|---|", *self.growth]
        return "\n".join([machine(self.rounds), "", *lines])


def machine(rounds: int) -> str:
    """Say where and with what this ran."""
    from importlib.metadata import version

    info = Path("/proc/cpuinfo")
    models = [x.partition(":")[2].strip() for x in info.read_text().splitlines()
              if x.startswith("model name")] if info.exists() else []  # fmt: skip
    load = os.getloadavg()[1]
    return (
        f"{models[0] if models else platform.processor()}, {os.cpu_count()} cores, "
        f"{platform.system()} {platform.machine()}; load {load:.1f} over the last 5 minutes; Python "  # noqa: E501
        f"{platform.python_version()}, NEURON {version('neuron')}, numpy {version('numpy')}, scipy "
        f"{version('scipy')}; {rounds} rounds, {clock_name} time; {time.strftime('%Y-%m-%d')}"
    )


PARTS = ["fit", "candidates", "large", "one", "accuracy", "startup", "table", "workers", "sweep",
         "memory", "studies", "tuner", "grows"]  # fmt: skip


def main() -> None:
    reader = argparse.ArgumentParser()
    reader.add_argument("parts", nargs="*", default=PARTS)
    reader.add_argument("--rounds", type=int, default=5)
    reader.add_argument("--write", type=Path, help="a page that holds the two marks")
    reader.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu: on a busy machine, "
                        "of one process; what has several is on the wall clock all the same")  # fmt: skip  # noqa: E501
    given = reader.parse_args()
    global clock_name
    clock_name = given.clock
    bench = Bench(given.rounds)
    for part in given.parts or PARTS:
        started = time.perf_counter()
        getattr(bench, part)()
        print(f"[{part}: {time.perf_counter() - started:.0f} s]", file=sys.stderr, flush=True)
    text = bench.text()
    print(text)
    if given.write is not None:
        before, _, rest = given.write.read_text(encoding="utf-8").partition(BEGIN)
        after = rest.partition(END)[2]
        given.write.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
