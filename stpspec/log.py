"""One log format: on the terminal from a level on, and whole in the folder of each result."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

_FORMAT = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s", "%H:%M:%S")
_OURS = "stpspec"
FILE = "log.txt"


def to_terminal(level: str) -> None:
    """Show our log, and that of every library, on standard error from a level on."""
    handler = logging.StreamHandler()
    handler.setFormatter(_FORMAT)
    handler.setLevel(level.upper())
    logging.basicConfig(handlers=[handler], level=level.upper())
    logging.getLogger(_OURS).setLevel(min(logging.INFO, logging.getLevelName(level.upper())))


def enable() -> None:
    """Let our loggers speak again: Hydra and Alembic disable every one that they do not know."""
    for name in logging.root.manager.loggerDict:
        if name.partition(".")[0] == _OURS:
            logging.getLogger(name).disabled = False


class Kept(logging.Handler):
    """What has been logged while it was listening.

    Attributes
    ----------
    lines : list of str
    """

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(_FORMAT)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one message."""
        self.lines.append(self.format(record))

    def write(self, folder: Path) -> None:
        """Write ``log.txt`` into an existing folder."""
        (folder / FILE).write_text("\n".join(self.lines) + "\n", encoding="utf-8")


@contextlib.contextmanager
def kept() -> Iterator[Kept]:
    """Keep what is logged inside, beginning with the command line."""
    logger, handler = logging.getLogger(_OURS), Kept()
    logger.addHandler(handler)
    try:
        logger.info("%s", " ".join(["stpspec", *sys.argv[1:]]))
        yield handler
    finally:
        logger.removeHandler(handler)
