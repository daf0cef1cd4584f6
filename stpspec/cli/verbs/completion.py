"""``stpspec completion``: the script with which a shell completes the words of the command."""

from __future__ import annotations

import argparse

from stpspec.cli.terminal import DONE, UsageError
from stpspec.cli.verb import Candidates, Verb

SHELLS = ("bash", "zsh", "fish")


def _completion(arguments: argparse.Namespace) -> int:
    from stpspec.cli.completion.shells import SCRIPTS
    from stpspec.errors import unknown_name

    words = arguments.words
    if len(words) != 1 or words[0] not in SHELLS:
        raise UsageError(str(unknown_name("shell", " ".join(words), SHELLS)))
    print(SCRIPTS[words[0]], end="")
    return DONE


def _complete(rest: list[str], _current: str) -> Candidates:
    return {} if rest else dict.fromkeys(SHELLS, "")


VERB = Verb(
    summary="print what completes words in a shell: bash, zsh, fish",
    section="reference",
    usage="SHELL",
    words={"SHELL": ", ".join(SHELLS)},
    text="""\
Print the script with which Tab completes verbs, flags, experiments, keys and
values. The line of an example belongs in the start-up file of the shell.""",
    examples=(
        ("completion fish | source", "in config.fish"),
        ("completion bash", 'as eval "$(stpspec completion bash)" in ~/.bashrc; zsh likewise'),
    ),
    action=_completion,
    complete=_complete,
)
