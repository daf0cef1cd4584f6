"""Scripts that start worker processes, which import the script again, without a guard."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from types import FrameType

from stpspec.errors import SimulationError


def refuse_unguarded() -> None:
    """Refuse to start processes from a line of a script that each of them would run again.

    They would start processes themselves, and so on: nothing would ever be simulated.

    Raises
    ------
    SimulationError
        With the line of the script.
    """
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
                f"{file}:{line}: worker processes import this script again, and would start "
                f'workers of their own; put what it does under if __name__ == "__main__":'
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
