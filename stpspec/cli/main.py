"""The ``stpspec`` command: the verb that a command line names, and the help over all verbs."""

from __future__ import annotations

import os
import signal
import sys

TYPE_CHECKING = False  # of `typing`, which takes half the time until signals are caught
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

    from stpspec.cli.verb import Verb


_ENDING = ("SIGINT", "SIGTERM", "SIGHUP", "SIGXCPU")
_SIGNALED = 128  # and the number of the signal: the exit code


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    if argv is not None:
        return _main(list(argv))
    numbers = [n for name in _ENDING if (n := getattr(signal, name, None))]
    for number in numbers:  # nothing is lost yet, nor any more
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, _end)
    code = _main(sys.argv[1:])
    if code > _SIGNALED:  # a further signal, while Python ends, would change the exit code
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
    return code


def _end(number: int, _frame: object) -> NoReturn:
    """End at once: the command has only begun, or has done everything."""
    try:
        os.write(2, b"\nstpspec: interrupted\n")
    finally:
        os._exit(_SIGNALED + number)


def _main(words: list[str]) -> int:
    from stpspec.cli.terminal import DONE, FAILED, steady_output

    with steady_output() as output:
        code, saves = _of_words(_without_passwords(words))
        output.finish()
    # What could not be printed of a saved result is in its folder.
    return FAILED if output.is_lost and code == DONE and not saves else code


def _of_words(words: list[str]) -> tuple[int, bool]:
    """Return the exit code of a command line, and whether it had results to save."""
    from stpspec.cli import flags
    from stpspec.cli.parser import find_verb, without_verb
    from stpspec.cli.terminal import DONE, UsageError, complain_of_usage
    from stpspec.cli.verb import load_verb
    from stpspec.errors import UnknownNameError

    if words[:1] == ["__complete"]:  # asked by the scripts of `stpspec completion`
        from stpspec.cli.completion.shells import answer

        print(answer(words[1:]))
        return DONE, False
    try:
        os.getcwd()  # noqa: PTH109  # pathlib takes its time
    except FileNotFoundError:
        deleted = UsageError("the current folder was deleted: cd into one that exists")
        return complain_of_usage(deleted, None), False
    try:
        name, rest = find_verb(words)
        if name is None:
            return _without_verb(rest), False
        verb = load_verb(name)
    except UsageError as error:
        return complain_of_usage(error, None), False
    except UnknownNameError as error:
        return complain_of_usage(UsageError(without_verb(words) or str(error)), None), False
    return _run(name, verb, rest), flags.out in verb.flags


def _without_passwords(argv: Sequence[str]) -> list[str]:
    """Return the words with ``***`` for their passwords: they go on to Hydra and into logs.

    Those of the process itself are seen by everybody on the machine, which is told.
    """
    from stpspec.formatting import PASSWORD_VARIABLE, hide

    words = [hide(word) for word in argv]
    if words != list(argv):
        print(
            f"stpspec: other users of this machine can read a password on the command line, and "
            f"the shell keeps it; {PASSWORD_VARIABLE} is the place for it",
            file=sys.stderr,
        )
    return words


def _run(name: str, verb: Verb, words: Sequence[str]) -> int:
    from stpspec.cli.parser import parser_of
    from stpspec.cli.terminal import UsageError, complain, complain_of_usage
    from stpspec.errors import StpspecError
    from stpspec.fitters import interrupts

    with_traceback = False
    with interrupts.caught(instead_of=_end):
        try:
            arguments = parser_of(name, verb).parse(words)
            with_traceback = arguments.traceback
            from stpspec.log import to_terminal

            to_terminal(arguments.log_level)
            code = verb.action(arguments)
            return code if interrupts.received() is None else _interrupted()
        except UsageError as error:
            return complain_of_usage(error, name)
        except KeyboardInterrupt:
            return _interrupted()
        except Exception as error:
            # In the midst of an import, or of a library, an interrupt may come out as any error.
            if interrupts.received() is None:
                return complain(error, with_traceback)
            if isinstance(error, StpspecError):
                complain(error, with_traceback)
            return _interrupted()


def _interrupted() -> int:
    from stpspec.fitters import interrupts

    interrupts.note()
    print("\nstpspec: interrupted", file=sys.stderr)
    interrupt = interrupts.received()
    return interrupts.exit_code(signal.SIGINT) if interrupt is None else interrupt.exit_code


def _without_verb(words: Sequence[str]) -> int:
    from stpspec.cli.parser import CommandParser
    from stpspec.cli.terminal import NOT_UNDERSTOOD

    parser = CommandParser()
    parser.parse(words)
    parser.print_help()
    return NOT_UNDERSTOOD
