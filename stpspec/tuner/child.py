"""The engine's process: it reads questions from a pipe and writes the answers into it.

``python -m stpspec.tuner.child FD`` holds the other end of the pipe as file FD. It ends with the
page: at the end of the pipe, or by the alarm if a mechanism never comes back.
"""

from __future__ import annotations

import os
import signal
import sys
from multiprocessing.connection import Connection

from stpspec.tuner.messages import Answer, Ask, Refused

BEGUN, DONE = "begun", "done"
Message = tuple[str, Answer | None]  # DONE with the last answer, BEGUN, or "" with one before


def main(channel: Connection) -> None:
    """Answer questions until there is nobody to ask any."""
    from stpspec.engine.binding import host
    from stpspec.engine.rigs.reuse import rigs_kept

    host.declare_absent()  # mechanisms of others may end this process, and no other
    with rigs_kept():
        while True:
            try:
                question, limit = channel.recv()
            except EOFError:
                return
            sys.path[:] = question.search_path or sys.path
            channel.send((DONE, _answered(channel, question, limit)))


def _answered(channel: Connection, question: Ask, limit: float | None) -> Answer:
    from stpspec.tuner.simulation import answer

    def begun() -> None:
        channel.send((BEGUN, None))
        # The default action ends the process without Python, which a mechanism may keep waiting:
        # also where the parent, which has the same limit, is gone.
        if limit is not None:
            signal.setitimer(signal.ITIMER_REAL, 2 * limit + 5)

    try:
        return answer(question, lambda a: channel.send(("", a)), begun)
    except Exception as error:  # a fault of a plug-in, or ours: the page goes on
        return Refused(f"{type(error).__name__}: {error}")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends us
    os.dup2(2, 1)  # NEURON, HOC and nrnivmodl write where they like
    main(Connection(int(sys.argv[1])))
