"""Scripts that the processes of an executor import again, and cannot."""

from __future__ import annotations

import ast
import sys
from concurrent.futures import Executor, ProcessPoolExecutor
from pathlib import Path
from types import FrameType

from stpspec.errors import SimulationError

_OURS = "; workers: n, processes of our own, need nothing of the script"


def refuse_unguarded(executor: Executor) -> None:
    """Refuse an executor whose processes would run again the line that makes them, or no script.

    They would start processes themselves, and so on: nothing would ever be simulated.

    Raises
    ------
    SimulationError
        With the line of the script.
    """
    if not _imports_the_script(executor):
        return
    script = getattr(sys.modules["__main__"], "__file__", None)
    if script is not None and not Path(script).is_file():  # <stdin>
        raise SimulationError(
            f"the processes of the executor import the script that runs, and {script} is no file: "
            f"save the script{_OURS}"
        )
    frame = _script()
    if frame is None:
        return
    file, line = frame.f_code.co_filename, frame.f_lineno
    try:
        statements = ast.parse(Path(file).read_bytes()).body
    except (OSError, SyntaxError, ValueError):  # no file, as in a notebook: none is imported
        return
    for statement in statements:
        if statement.lineno <= line <= (statement.end_lineno or 0) and not _guards(statement):
            raise SimulationError(
                f"{file}:{line}: the processes of the executor import this script again, and would "
                f'start processes of their own; put what it does under if __name__ == "__main__":'
                f"{_OURS}"
            )


def _imports_the_script(executor: Executor) -> bool:
    """Tell whether an executor begins its processes as Python does, but not by a fork."""
    context = getattr(executor, "_mp_context", None)
    return isinstance(executor, ProcessPoolExecutor) and (
        context is not None and context.get_start_method() in ("spawn", "forkserver")
    )


def _script() -> FrameType | None:
    """Return the frame of the script that runs, at its outermost level."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if frame.f_code.co_name == "<module>" and frame.f_globals.get("__name__") == "__main__":
            return frame
        frame = frame.f_back
    return None


def _guards(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.If) and "__name__" in ast.unparse(statement.test)
