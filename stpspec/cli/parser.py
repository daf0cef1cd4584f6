"""The argument parser of each verb, and the verb that a command line names."""

from __future__ import annotations

import argparse
import functools
import re
from collections.abc import Sequence
from typing import NoReturn

from stpspec import __version__
from stpspec.cli.terminal import DONE, FAILED, MISSED, NOT_UNDERSTOOD, UsageError
from stpspec.cli.verb import SECTIONS, Verb, load_verbs, verb_names
from stpspec.cli.words import FIELDS

_TEXT = "Write an experiment on a synapse as data, run it in NEURON, fit the synapse."

_EPILOG = f"""\
examples:
  stpspec fit experiment=pvalb_pyr
  stpspec run pvalb_pyr U=0.3 tau_rec='0.5 s'
  stpspec fit my_experiment.yaml protocols.train.frequency=20 --out my_fit

exit codes:
  {DONE}  done
  {FAILED}  the experiment is not valid, or something failed
  {NOT_UNDERSTOOD}  the command line is not valid
  {MISSED}  a fit has ended and is saved, and misses a target by more than 3 sd
  128+n  ended by signal n, as 130 by Ctrl-C; what there is so far is saved

stpspec VERB --help explains a verb, its flags and its words.
"""


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Help with texts as they are written, and flags in a narrow column."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=22)


class Parser(argparse.ArgumentParser):
    """A parser that takes flags between words, and names the owner of a flag of another verb."""

    def __init__(self, prog: str, usage: str, description: str, epilog: str) -> None:
        super().__init__(
            prog, f"{prog} {usage}", description, epilog,
            formatter_class=HelpFormatter, allow_abbrev=False, add_help=False,
            exit_on_error=False,
        )  # fmt: skip

    @property
    def options(self) -> dict[str, argparse.Action]:
        """Name → action of every flag that is taken."""
        options = self._option_string_actions
        return {flag: a for flag, a in options.items() if not isinstance(a, Refused)}

    def parse(self, words: Sequence[str]) -> argparse.Namespace:
        """Return the arguments of a command line.

        Raises
        ------
        UsageError
            If a flag is not known here, or has not the value that it takes.
        """
        try:
            arguments, unknown = self.parse_known_intermixed_args(words)
        except argparse.ArgumentError as error:
            self.error(self._of_value(error))
        if unknown:
            flag = next((w for w in unknown if w.startswith("-")), unknown[0]).partition("=")[0]
            self.error(self._unknown(flag, " ".join(unknown)))
        out = getattr(arguments, "out", None)
        if out == "" or ("=" in (out or "") and str(out).partition("=")[0] in FIELDS):
            self.error(f"--out needs the name of a folder, and {out!r} is none")
        return arguments

    def error(self, message: str) -> NoReturn:
        """Refuse the command line."""
        raise UsageError(message, self.prog)

    def _of_value(self, error: argparse.ArgumentError) -> str:
        """Return what value a flag takes, where argparse refuses the one that it has."""
        name = error.argument_name or ""
        action = self._option_string_actions.get(name.partition("/")[0])
        if action is None:
            return str(error)
        # argparse quotes what it refuses, and nothing else, before a list of choices
        found = re.search(r": ('[^']*'|\"[^\"]*\")|argument ('.*'|\".*\")$", error.message or "")
        received = f"; received {found[1] or found[2]}" if found else ""
        if action.nargs == 0:
            return f"{name} takes no value ({action.help}){received}"
        if not found:
            return f"{name} needs a value: {name} {action.metavar or 'NUMBER'} ({action.help})"
        if action.choices is not None:
            return f"{name} is one of {', '.join(map(str, action.choices))}{received}"
        return f"{name} takes a whole number{received}"

    def _unknown(self, flag: str, unknown: str) -> str:
        from stpspec.cli.foreign_flags import told_of
        from stpspec.errors import nearest

        verb = self.get_default("verb")
        if owners := [name for name, options in flags_of_verbs().items() if flag in options]:
            return f"{flag} belongs to {_listed(owners)}"
        if told := told_of(flag, unknown.partition(flag)[2].lstrip("= "), verb, self.options):
            return told
        long = [name for name in self.options if name.startswith("--")]
        guess = nearest(flag, long, cutoff=0.6) if flag.startswith("--") else None
        hint = f"; did you mean {guess!r}?" if guess else ""
        return f"unrecognized arguments: {unknown}{hint}"


def _listed(names: Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def common_flags(parser: Parser) -> None:
    """Add the flags of every verb."""
    group = parser.add_argument_group("flags of every verb")
    group.add_argument("-h", "--help", action="help", help="show this help")
    group.add_argument(
        "--version", action="version", version=f"stpspec {__version__}", help="show the version"
    )
    group.add_argument("--traceback", action="store_true", help="show Python's traceback on errors")
    group.add_argument(
        "--log-level", default="warning", choices=["debug", "info", "warning", "error"],
        metavar="LEVEL", help="what is logged: debug, info, warning (default) or error",
    )  # fmt: skip


class CommandParser(Parser):
    """The parser of the command without a verb, whose help shows all verbs."""

    def __init__(self) -> None:
        super().__init__("stpspec", "VERB [words] [flags]", _TEXT, _EPILOG)
        common_flags(self)

    def format_help(self) -> str:
        """Return the help; only now the module of each verb is imported."""
        verbs = load_verbs()
        blocks = [_TEXT]
        for section in SECTIONS:
            rows = [f"  {n:<12}{v.summary}" for n, v in verbs.items() if v.section == section]
            blocks.append("\n".join([f"verbs for {section}:", *rows]))
        self.description = "\n\n".join(blocks)
        return super().format_help()


def parser_of(name: str, verb: Verb) -> Parser:
    """Return the argument parser of a verb."""
    indent = "\n" + " " * 21
    words = "\n".join(
        f"  {word:<17}  {what.replace(chr(10), indent)}" for word, what in verb.words.items()
    )
    examples = "\n".join(f"  stpspec {line}\n      {what}" for line, what in verb.examples)
    parser = Parser(
        f"stpspec {name}", f"{verb.usage} [flags]",
        f"{verb.text}\n\nwords:\n{words}", f"examples:\n{examples}\n",
    )  # fmt: skip
    parser.add_argument("words", nargs="*", help=argparse.SUPPRESS)
    if verb.flags:
        group = parser.add_argument_group("flags")
        for add in verb.flags:
            add(group)
    common_flags(parser)
    parser.set_defaults(verb=name)
    return parser


@functools.cache
def flags_of_verbs() -> dict[str, dict[str, argparse.Action]]:
    """Return verb → its flags; imports the module of each verb."""
    return {name: parser_of(name, verb).options for name, verb in sorted(load_verbs().items())}


def find_verb(words: Sequence[str]) -> tuple[str | None, list[str]]:
    """Return the verb of a command line, and the words without it; flags may come first."""
    awaits_value, unknown = False, ""
    for i, word in enumerate(words):
        if awaits_value:
            awaits_value = False
        elif word.startswith("-"):
            awaits_value = _takes_value(word)
            unknown = unknown or ("" if _is_flag(word) else word)
        elif unknown and word not in verb_names():  # perhaps its value, which is no verb
            raise UsageError(_of_no_verb(unknown, word))
        else:
            return word, [*words[:i], *words[i + 1 :]]
    return None, list(words)


def without_verb(words: Sequence[str]) -> str:
    """Return what to write where an experiment stands in the place of the verb; else nothing."""
    from stpspec.resources import experiments

    name, rest = find_verb(words)
    if name == "version":
        return "version is a flag: stpspec --version"
    if name == "help":
        verb = next((word for word in rest if word in verb_names()), "VERB")
        return f"help is a flag: stpspec --help, or stpspec {verb} --help"
    if name is None or not (
        "=" in name or name.endswith((".yaml", ".yml", ".csv")) or name in experiments()
    ):
        return ""
    verb = "campaign" if name.endswith(".csv") else "fit"
    return f"a verb comes first: stpspec {verb} {name}; stpspec --help lists all verbs"


def _all_options() -> dict[str, argparse.Action]:
    options = CommandParser().options
    return options | {f: a for of in flags_of_verbs().values() for f, a in of.items()}


def _is_flag(word: str) -> bool:
    name = word.partition("=")[0]
    return name in CommandParser().options or name in _all_options()


def _of_no_verb(word: str, after: str) -> str:
    from stpspec.cli.foreign_flags import told_of

    flag, _, value = word.partition("=")
    told = told_of(flag, value or after, None, list(_all_options()))
    return told or f"no verb has the flag {flag}{_hint(word)}"


def _hint(flag: str) -> str:
    from stpspec.errors import nearest

    guess = nearest(flag, [name for name in _all_options() if name.startswith("--")], cutoff=0.6)
    return f"; did you mean {guess!r}?" if guess else ""


def _takes_value(flag: str) -> bool:
    options = CommandParser().options
    if flag not in options:  # of a verb that is yet to come: only now all are imported
        options = {f: a for options in flags_of_verbs().values() for f, a in options.items()}
    return flag in options and options[flag].nargs != 0


class Refused(argparse.Action):
    """A flag that a verb refuses with a reason of its own."""

    def __init__(self, option_strings: Sequence[str], dest: str, reason: str) -> None:
        super().__init__(option_strings, dest, nargs=0, help=argparse.SUPPRESS)
        self.reason = reason

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        """Refuse the command line."""
        raise UsageError(self.reason)
