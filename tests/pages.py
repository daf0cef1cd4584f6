"""Run the code of a Markdown page: what the manual shows is what happens.

A page is worked through from top to bottom in a folder of its own:

* a block with a ``title``, or that begins with a comment that is a file name, is saved under it;
* ``bash`` is run; a line that is one plain ``stpspec`` command in a fork of this process, which has
  everything imported already, anything else by bash;
* ``python`` is run in one namespace;
* ``text`` is what the block before it prints; ``…`` stands for anything, and numbers may differ
  by 2 %. A block whose text begins with ``stpspec:`` or names an exception must fail;
* below ``<!-- run the last column -->`` the code of the last cell of each row is run, too;
* a block below ``<!-- not run: reason -->`` is not.

``python tests/pages.py`` reads lines ``PAGE<tab>FOLDER`` and answers each with a line of JSON.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import traceback
import warnings
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(
    r"(?:^<!--(?P<comment>(?:(?!-->).)*)-->\n+)?"
    r"^```(?P<language>\w*)(?: title=\"(?P<title>[^\"]+)\")?[^\n]*\n(?P<body>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
_NAMED = re.compile(r"# ([\w./-]+\.(?:py|yaml|toml))\b")
_TABLE = re.compile(r"^<!-- run the last column -->\n+((?:^\|.*\n)+)", re.MULTILINE)
_PLAIN = re.compile(r"stpspec [^|;&<>$`]*")
_ENDS_WELL = (0, 3)  # 3: a fit, of which a page may show only a few steps, misses a target
_NUMBER = re.compile(r"[-+−]?\d+(?:\.\d+)?(?:e[-+]?\d+)?")


@dataclass
class Block:
    """One piece of code of a page, and what it should print."""

    language: str
    body: str
    title: str = ""
    skipped: str = ""
    expected: str | None = None

    @property
    def must_fail(self) -> bool:
        """Whether the page shows an error as its output."""
        return bool(re.match(r"(stpspec: |[\w.]*Error: )", self.expected or ""))


def blocks(text: str) -> list[Block]:
    """Return the code of a page in its order; text blocks belong to the block before."""
    found: list[tuple[int, Block]] = []
    last: Block | None = None
    for match in _FENCE.finditer(text):
        comment = (match["comment"] or "").strip()
        reason = comment.removeprefix("not run:").strip() if comment[:8] == "not run:" else ""
        named = _NAMED.match(match["body"])
        title = match["title"] or (named[1] if named else "")
        block = Block(match["language"] or "text", match["body"], title, reason)
        if block.language == "text" and not block.title and last is not None:
            last.expected, last = block.body, None
            continue
        found.append((match.start(), block))
        last = block
    for table in _TABLE.finditer(text):
        found += [(table.start() + k, b) for k, b in enumerate(_rows(table[1]))]
    return [block for _, block in sorted(found, key=lambda pair: pair[0])]


def _rows(table: str) -> list[Block]:
    made = []
    for row in table.splitlines()[2:]:
        cell = re.split(r"(?<!\\)\|", row)[-2]
        code = re.findall(r"(?<!`)`([^`]+)`(?!`)", cell.replace(r"\|", "|"))
        if code:
            language = "bash" if code[0].startswith("stpspec ") else "python"
            made.append(Block(language, "\n".join(code) + "\n"))
    return made


def like(expected: str, printed: str) -> bool:
    """Tell whether the lines expected come in this order in what was printed."""
    lines = iter(printed.splitlines())
    return all(
        any(_same(line, other) for other in lines) for line in expected.splitlines() if line.strip()
    )


def _same(expected: str, printed: str) -> bool:
    pattern = re.escape(" ".join(_NUMBER.sub("\0", expected).split()))
    pattern = pattern.replace("\0", f"({_NUMBER.pattern})").replace(r"\ ", " ")
    pattern = pattern.replace(" … ", ".* ").replace("…", ".*")
    pattern = re.sub(r"─+", "─+", pattern)
    match = re.fullmatch(pattern, " ".join(printed.split()))
    if match is None:
        return False
    pairs = zip(_NUMBER.findall(expected), match.groups(), strict=True)
    return all(_near(a, b) for a, b in pairs)


def _near(a: str, b: str) -> bool:
    x, y = (float(s.replace("−", "-")) for s in (a, b))
    return abs(x - y) <= 0.02 * max(abs(x), abs(y))


# -- running ------------------------------------------------------------------------------------


def run(page: str, folder: str) -> list[str]:
    """Run a page in a folder; return what went wrong."""
    os.chdir(folder)
    sys.path.insert(0, folder)
    names: dict[str, object] = {"__name__": "page"}
    wrong = []
    for block in blocks(Path(page).read_text(encoding="utf-8")):
        if block.skipped:
            continue
        printed, failed = _run(block, names)
        if failed != block.must_fail:
            wrong.append(f"{'failed' if failed else 'did not fail'}:\n{block.body}\n{printed}")
        elif block.expected and not like(block.expected, printed):
            wrong.append(f"printed something else:\n{block.body}\n{printed}\n{block.expected}")
    return wrong


def _run(block: Block, names: dict[str, object]) -> tuple[str, bool]:
    if block.title:
        Path(block.title).parent.mkdir(parents=True, exist_ok=True)
        Path(block.title).write_text(block.body, encoding="utf-8")
        return "", False
    if block.language == "bash":
        printed, code = "", 0
        for line in block.body.replace("\\\n", " ").splitlines():
            more, code = _command(line)
            printed += more
            if code not in _ENDS_WELL:
                break
        return printed, code not in _ENDS_WELL
    if block.language == "python":
        return _python(block.body, names)
    return f"a block of {block.language or 'no language'} needs a title", True


def _python(code: str, names: dict[str, object]) -> tuple[str, bool]:
    out = io.StringIO()
    try:
        with contextlib.redirect_stdout(out):
            exec(compile(code, "<page>", "exec"), names)
    except Exception as error:
        last = traceback.format_exception_only(error)[-1]
        where = "".join(traceback.format_tb(error.__traceback__)[-2:])
        return f"{out.getvalue()}{last.rpartition('Error: ')[0].rpartition('.')[2]}" + (
            f"Error: {error}\n{where}"
        ), True
    return out.getvalue(), False


def _command(line: str) -> tuple[str, int]:
    if not line.strip() or line.startswith("#"):
        return "", 0
    if match := re.fullmatch(r"export (\w+)=(\S+)", line):
        os.environ[match[1]] = match[2]
        return "", 0
    if not _PLAIN.fullmatch(line.partition("  #")[0].strip()):
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-c", line], capture_output=True, text=True, check=False,
            env={**os.environ, "PATH": path},
        )  # fmt: skip
        return done.stdout + done.stderr, done.returncode
    with tempfile.TemporaryFile() as kept:
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            _child(shlex.split(line, comments=True)[1:], kept.fileno())
        _, status = os.waitpid(child, 0)
        kept.seek(0)
        return kept.read().decode("utf-8"), os.waitstatus_to_exitcode(status)


def _child(words: list[str], output: int) -> None:
    from stpspec.cli.main import main

    code: object = 70
    try:
        os.dup2(output, 1)
        os.dup2(output, 2)
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        sys.argv = ["stpspec", *words]
        # The installed command does not look into the current folder by itself.
        sys.path[:] = [p for p in sys.path if Path(p) != Path.cwd()]
        sys.path[:0] = [p for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p]
        code = main(words)
    except SystemExit as end:
        code = end.code or 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 1)


def _warm_up() -> None:
    """Import everything and fill the caches that every command would fill for itself."""
    import neuron
    import optuna
    import scipy.optimize
    import xarray as xr

    import stpspec
    import stpspec.cli.launcher
    import stpspec.cli.main
    import stpspec.engine.simulate
    import stpspec.fitters.fit
    import stpspec.fitters.methods.samplers
    import stpspec.metrics.judge
    import stpspec.results.fit_result
    import stpspec.results.multirun
    import stpspec.results.simulation
    import stpspec.view.sweep
    from stpspec.view.save import write_sweep

    stpspec.load("pvalb_pyr", ["protocols.train.frequency=20"])
    rows = xr.Dataset({"recovery": ("U", [0.1, 0.2])}, {"U": [1.0, 20.0]})
    with tempfile.TemporaryDirectory() as folder:
        write_sweep(rows, Path(folder))
        rows.to_netcdf(Path(folder) / "rows.nc")
    del neuron, optuna, scipy


def _serve() -> None:
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    _warm_up()
    warnings.simplefilter("error")
    for line in sys.stdin:
        page, folder = line.rstrip("\n").split("\t")
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                wrong = run(page, folder)
            except BaseException:
                wrong = [traceback.format_exc()]
            os.write(writing, json.dumps(wrong)[:60000].encode())
            os._exit(0)
        os.close(writing)
        _, status = os.waitpid(child, 0)
        with os.fdopen(reading, encoding="utf-8") as said:
            text = said.read() or json.dumps([f"the page ended with status {status}"])
        print(text, file=answers, flush=True)
    answers.close()


if __name__ == "__main__":
    _serve()
