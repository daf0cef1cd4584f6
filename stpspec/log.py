"""One log format: on the terminal from a level on, and whole in the folder of each result."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from stpspec.formatting import presentable


class _Shown(logging.Formatter):
    """Writes messages without passwords and control characters, also those of libraries."""

    def format(self, record: logging.LogRecord) -> str:
        return presentable(super().format(record))


_FORMAT = _Shown("%(asctime)s %(levelname)s %(name)s: %(message)s", "%H:%M:%S")
_OURS = "stpspec"
FILE = "log.txt"


def to_terminal(level: str) -> None:
    """Show our log, and that of every library, on standard error from a level on."""
    handler = logging.StreamHandler()
    handler.setFormatter(_FORMAT)
    handler.setLevel(level.upper())
    handler.addFilter(_is_no_echo)
    logging.basicConfig(handlers=[handler], level=level.upper())
    logging.getLogger(_OURS).setLevel(min(logging.INFO, logging.getLevelName(level.upper())))


def _is_no_echo(record: logging.LogRecord) -> bool:
    """Tell whether a message is about more than an interrupt, which is told by itself.

    A library that is interrupted complains of what it could not finish.
    """
    error = record.exc_info[1] if record.exc_info else None
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return False
        error = error.__cause__ or error.__context__
    return True


def enable() -> None:
    """Let our loggers speak again: Hydra and Alembic disable every one that they do not know."""
    for name in logging.root.manager.loggerDict:
        if name.partition(".")[0] == _OURS:
            logging.getLogger(name).disabled = False


class LogRecorder(logging.Handler):
    """A handler that records what is logged.

    Attributes
    ----------
    lines : list of str
    """

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.setFormatter(_FORMAT)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Record one message."""
        self.lines.append(self.format(record))

    def write(self, folder: Path) -> None:
        """Write ``log.txt`` into an existing folder."""
        write(folder, self.lines)


class _Onward(logging.Handler):
    """Hands messages on to the handlers of the program."""

    def emit(self, record: logging.LogRecord) -> None:
        logging.root.callHandlers(record)


class _AsBefore(logging.Filter):
    """Lets through what would have been heard if our logger still had its level."""

    def __init__(self, level: int):
        super().__init__()
        self._level = level

    def filter(self, record: logging.LogRecord) -> bool:
        logger = logging.getLogger(record.name)
        while logger.name != _OURS and not logger.level and logger.parent is not None:
            logger = logger.parent
        return record.levelno >= (self._level if logger.name == _OURS else logger.level)


def write(folder: Path, lines: Sequence[str]) -> None:
    """Write ``log.txt`` into an existing folder."""
    (folder / FILE).write_text("".join(f"{presentable(n)}\n" for n in lines), encoding="utf-8")


@contextlib.contextmanager
def recorded(*, command: bool = False) -> Iterator[LogRecorder]:
    """Record what is logged inside; first the command line, if it is one.

    A program that uses stpspec hears no more than its own settings let through.
    """
    logger, handler = logging.getLogger(_OURS), LogRecorder()
    with _heard(logger):
        logger.addHandler(handler)
        try:
            if command:
                logger.info("%s", " ".join(["stpspec", *sys.argv[1:]]))
            yield handler
        finally:
            logger.removeHandler(handler)


@contextlib.contextmanager
def _heard(logger: logging.Logger) -> Iterator[None]:
    """Have a logger hand messages from INFO on to its own handlers, if it would not."""
    level, own, onward = logger.getEffectiveLevel(), logger.level, _Onward()
    if level <= logging.INFO:
        yield
        return
    as_before = _AsBefore(level)
    propagates, logger.propagate = logger.propagate, False
    if propagates:
        logger.addHandler(onward)
    ours = [h for n, one in logging.root.manager.loggerDict.items() if n.partition(".")[0] == _OURS
            and isinstance(one, logging.Logger) for h in one.handlers]  # fmt: skip
    for handler in ours:
        handler.addFilter(as_before)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(own)
        logger.propagate = propagates
        logger.removeHandler(onward)
        for handler in ours:
            handler.removeFilter(as_before)
