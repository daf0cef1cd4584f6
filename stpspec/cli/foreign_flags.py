"""Flags of Hydra and of other programs, each with the words that mean the same here."""

from __future__ import annotations

from collections.abc import Iterable

from stpspec.cli.words import FIELDS
from stpspec.errors import nearest

_SHOW = "stpspec show EXPERIMENT key=value … prints the resolved experiment"
_NAME = "an experiment is named without a flag: stpspec {verb} {value}"
_FOLDER = "--config-dir {folder} adds a folder of configurations"
_COMPLETION = "stpspec completion bash (or zsh, fish) prints what completes words"

_MEANT = {
    **dict.fromkeys(("--cfg", "-c", "--info", "-i", "--resolve", "--package", "-p"), _SHOW),
    **dict.fromkeys(("--config-name", "-cn", "--config", "--experiment", "--file"), _NAME),
    **dict.fromkeys(("--config-path", "-cp", "-cd"), _FOLDER),
    **dict.fromkeys(("--shell-completion", "-sc"), _COMPLETION),
    **dict.fromkeys(("--run", "-r"), "one run is what stpspec does without -m: leave it out"),
    "--hydra-help": "stpspec {verb} --help shows the flags; docs/specs.md the fields",
    "--experimental-rerun": "a saved result is run again by its folder: stpspec {verb} FOLDER",
    **dict.fromkeys(("-o", "--output", "--output-dir", "--outdir"), "results go to --out DIR"),
    **dict.fromkeys(("-v", "--verbose", "--debug", "-vv"), "--log-level info (or debug) says more"),
    **dict.fromkeys(("-q", "--silent"), "--quiet shows no progress bar"),
    **dict.fromkeys(("-f", "--force", "--replace", "-y"), "--overwrite replaces a result"),
    **dict.fromkeys(("-n", "--dry-run", "--dry"), "stpspec check EXPERIMENT simulates nothing"),
    **dict.fromkeys(("-j", "--jobs", "--cores", "--processes"), "workers=4 sets processes"),
    **dict.fromkeys(("-M", "--m", "--multi"), "-m makes one job of each combination of values"),
    "-V": "--version shows the version",
}  # fmt: skip


def told_of(flag: str, value: str, verb: str | None, options: Iterable[str]) -> str:
    """Return the words that mean here what a flag means elsewhere; empty if nothing is known.

    Parameters
    ----------
    flag : str
    value : str
        What follows it.
    verb : str or None
    options : iterable of str
        The flags that the verb has.
    """
    first = (value.split() or [""])[0]
    first = "" if first.startswith("-") else first  # the next flag
    if flag in _MEANT:
        words = _MEANT[flag].format(
            verb=verb or "VERB", value=first or "EXPERIMENT", folder=first or "DIR"
        )
        return f"there is no {flag}: {words}"
    name = flag.lstrip("-").replace("-", "_")
    is_field = name in FIELDS or "." in name
    is_parameter = name[:1].isupper() or ("_" in name and nearest(flag, options, 0.75) is None)
    is_capital = len(name) == 1 and name.isupper()  # -U 0.4
    if (flag.startswith("--") or is_capital) and (is_field or is_parameter):
        return f"fields and parameters are set without dashes: {name}={first or '…'}"
    return ""
