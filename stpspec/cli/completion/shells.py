"""The scripts that bash, zsh and fish load, and the answers that these ask for.

Each script asks ``stpspec __complete SHELL …`` for the candidates: one a line, with a tab and its
meaning after it (not in bash). Bash hands over its whole line, since it cuts words at ``=``.

No library writes the scripts, since none completes keys level by level: argcomplete and click put
a space after ``protocols.``, and shtab writes only choices that are known beforehand.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

_BASH = r"""# stpspec: completion for bash; in ~/.bashrc: eval "$(stpspec completion bash)"
_stpspec() {
    local command="${COMP_WORDS[0]/#\~/$HOME}" line="${COMP_LINE:0:COMP_POINT}"
    local word
    COMPREPLY=()
    while IFS= read -r word; do
        [[ -n $word ]] && COMPREPLY+=("$word")
    done < <("$command" __complete bash "$line" "$COMP_WORDBREAKS" 2>/dev/null)
    # A key, a folder or a group goes on: no space after it.
    if [[ ${#COMPREPLY[@]} -gt 0 && "${COMPREPLY[0]}" == *[=.@/] ]]; then
        compopt -o nospace 2>/dev/null
    fi
}
complete -F _stpspec stpspec
"""

_ZSH = r"""#compdef stpspec
# stpspec: completion for zsh; in ~/.zshrc: eval "$(stpspec completion zsh)"
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
_stpspec() {
    local line word
    local -a whole open
    for line in "${(@f)$(${~words[1]} __complete zsh \
            "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)}"; do
        [[ -z $line ]] && continue
        word=${line%%$'\t'*}
        line="${word//:/\\:}:${line#*$'\t'}"
        # A key, a folder or a group goes on: no space after it.
        if [[ $word == *[=.@/] ]]; then open+=("$line"); else whole+=("$line"); fi
    done
    (( $#whole )) && _describe -t words 'stpspec' whole
    (( $#open )) && _describe -t keys 'stpspec' open -S ''
    (( $#whole + $#open ))
}
compdef _stpspec stpspec
"""

_FISH = r"""# stpspec: completion for fish; in config.fish: stpspec completion fish | source
function __stpspec_complete
    set -l words (commandline -opc)
    $words[1] __complete fish $words[2..-1] (commandline -ct) 2>/dev/null
end
complete -c stpspec -f -a '(__stpspec_complete)'
"""

SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def answer(words: Sequence[str]) -> str:
    """Return the lines that a script asked for; nothing when anything goes wrong.

    Parameters
    ----------
    words : sequence of str
        The shell, then what its script passes on.
    """
    try:
        shell, *rest = words
        return "\n".join(_bash(rest) if shell == "bash" else _others(rest))
    except Exception:  # whatever it is: a traceback in the middle of a prompt helps nobody
        return ""


def _others(words: Sequence[str]) -> list[str]:
    from stpspec.cli.completion.candidates import candidates

    *before, current = words
    found = candidates(before, current)
    return [f"{word}\t{meaning}" for word, meaning in found.items()]


def _bash(words: Sequence[str]) -> list[str]:
    from stpspec.cli.completion.candidates import candidates

    line, breaks = words
    before, current, quoted = _cut(line)
    found = candidates(before[1:], current)
    # Bash replaces only what stands after the last of its break characters, unless in quotes.
    cut = 0 if quoted else 1 + max(current.rfind(c) for c in breaks.strip() or " ")
    return [word[cut:] if quoted else _escaped(word[cut:]) for word in found]


def _cut(line: str) -> tuple[list[str], str, bool]:
    """Split a line into the words before the cursor's and its own; tell if that is in quotes."""
    for closing in ("", "'", '"'):
        try:
            words = shlex.split(line + closing)
        except ValueError:  # a quote is open
            continue
        if closing or (line[-1:] and not line[-1].isspace()):
            return words[:-1], words[-1] if words else "", bool(closing)
        return words, "", False
    return line.split(), "", False


def _escaped(word: str) -> str:
    special = " \t'\"\\$`&|;<>(){}*?#!"
    return "".join(f"\\{c}" if c in special else c for c in word)
