"""The ``stpspec`` command: the verb that a command line names, and the help over all verbs."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from stpspec.cli.parser import CommandParser, find_verb, parser_of
from stpspec.cli.terminal import DONE, FAILED, NOT_UNDERSTOOD, UsageError, complain
from stpspec.cli.terminal import complain_of_usage as refuse
from stpspec.cli.verb import Verb, load_verb
from stpspec.errors import StpspecError, UnknownNameError
from stpspec.formatting import PASSWORD_VARIABLE, hide


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    words = _without_passwords(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["__complete"]:  # asked by the scripts of `stpspec completion`
        from stpspec.cli.completion.shells import answer

        print(answer(words[1:]))
        return DONE
    try:
        name, rest = find_verb(words)
        if name is None:
            return _without_verb(rest)
        verb = load_verb(name)
    except UsageError as error:
        return refuse(error, None)
    except UnknownNameError as error:
        return refuse(UsageError(str(error)), None)
    return _run(name, verb, rest)


def _without_passwords(argv: Sequence[str]) -> list[str]:
    """Return the words with ``***`` for their passwords: they go on to Hydra and into logs.

    Those of the process itself are seen by everybody on the machine, which is told.
    """
    words = [hide(word) for word in argv]
    if words != list(argv):
        print(
            f"stpspec: other users of this machine can read a password on the command line, and "
            f"the shell keeps it; {PASSWORD_VARIABLE} is the place for it",
            file=sys.stderr,
        )
    return words


def _run(name: str, verb: Verb, words: Sequence[str]) -> int:
    with_traceback = False
    try:
        arguments = parser_of(name, verb).parse(words)
        with_traceback = arguments.traceback
        from stpspec.log import to_terminal

        to_terminal(arguments.log_level)
        return verb.action(arguments)
    except UsageError as error:
        return refuse(error, name)
    except StpspecError as error:
        return complain(error, with_traceback)
    except KeyboardInterrupt:
        print("\nstpspec: interrupted", file=sys.stderr)
        return FAILED
    except BrokenPipeError:
        sys.stderr.close()  # `stpspec … | head` is no error
        return DONE
    except Exception as error:  # a fault of ours: still one clear block, and how to see more
        return complain(error, with_traceback)


def _without_verb(words: Sequence[str]) -> int:
    parser = CommandParser()
    parser.parse(words)
    parser.print_help()
    return NOT_UNDERSTOOD
