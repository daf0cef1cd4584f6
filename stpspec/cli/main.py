"""The ``stpspec`` command. The one module that talks to the terminal."""

from __future__ import annotations

import argparse
import functools
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from stpspec import __version__
from stpspec.cli.commands import complain
from stpspec.cli.words import SCHEMAS, SHELLS, SORTS, VERBS
from stpspec.errors import StpspecError
from stpspec.log import to_terminal

_HELP = f"""\
verbs
{chr(10).join(f"  {verb:<10}  {meaning}" for verb, meaning in VERBS.items())}

examples
  stpspec fit experiment=pvalb_pyr
  stpspec fit pvalb_pyr fitter=tpe seed=1 --out my_fit
  stpspec fit my_experiment.yaml protocols.train.frequency=20
  stpspec sweep experiment=pvalb_pyr protocols.train.frequency=[1,10,100] U=[0.2,0.4]
  stpspec fit -m experiment=pvalb_pyr fitter=slsqp,least_squares,tpe
  stpspec campaign connections.csv experiment=pvalb_pyr
  stpspec run experiment=pvalb_pyr U=0.3 tau_rec='0.5 s'
  stpspec check my_experiment.yaml

exit codes
  0  done    1  the experiment is not valid, or failed    2  the command line is not valid
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    words = sys.argv[1:] if argv is None else list(argv)
    if words[:1] == ["__complete"]:  # asked by the scripts of `stpspec completion`
        from stpspec.cli.completion.shells import answer

        print(answer(words[1:], _parser()))
        return 0
    arguments = _parser().parse_intermixed_args(words)
    to_terminal(arguments.log_level)
    if arguments.verb is None:
        _parser().print_help()
        return 2
    if arguments.verb not in VERBS:
        from stpspec.errors import unknown_name

        return _usage(str(unknown_name("verb", arguments.verb, VERBS)))
    try:
        return _dispatch(arguments)
    except StpspecError as error:
        return complain(error, arguments.traceback)
    except KeyboardInterrupt:
        print("\nstpspec: interrupted", file=sys.stderr)
        return 1
    except BrokenPipeError:
        sys.stderr.close()  # `stpspec … | head` is no error
        return 0
    except Exception as error:  # a fault of ours: still one clear block, and how to see more
        return complain(error, arguments.traceback)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        from stpspec.errors import nearest

        flag = message.partition("unrecognized arguments: ")[2].split(" ")[0]
        known = [o for action in self._actions for o in action.option_strings]
        guess = nearest(flag, known) if flag else None
        hint = f"; did you mean {guess!r}?" if guess else ""
        self.exit(_usage(f"{message}{hint}"))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="stpspec",
        usage="stpspec VERB [PATH…] [key=value…] [--flags]",
        description="Write an experiment on a synapse as data, run it in NEURON, fit the synapse.",
        epilog=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("verb", nargs="?", metavar="VERB", help=", ".join(VERBS))
    parser.add_argument(
        "rest", nargs="*", metavar="PATH | key=value",
        help="experiments (names, YAML files, folders) and overrides in Hydra's syntax",
    )  # fmt: skip
    parser.add_argument("-m", "--multirun", action="store_true", help="one job per combination")
    parser.add_argument("--out", metavar="DIR", help="where the results go")
    parser.add_argument(
        "--only", metavar="NAME", action="append", default=[],
        help="of a campaign: this connection and no other (may be repeated)",
    )  # fmt: skip
    parser.add_argument("--overwrite", action="store_true", help="replace results in --out")
    parser.add_argument(
        "--config-dir", metavar="DIR", action="append", default=[],
        help="a folder of your own with conf groups, experiments/, mod/, templates/",
    )  # fmt: skip
    parser.add_argument(
        "--axis", choices=["auto", "log", "linear"], default="auto", help="of a sweep's figure"
    )
    parser.add_argument("--host", default="127.0.0.1", help="of the dashboard: who may open it")
    parser.add_argument(
        "--port", type=int, default=8080, help="of the dashboard; 0 for any that is free"
    )
    parser.add_argument(
        "--all", action="store_true", help="of the dashboard: every trial of a long study"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.add_argument(
        "--traceback", action="store_true", help="show Python's traceback on errors"
    )
    parser.add_argument(
        "--log-level", default="warning", choices=["debug", "info", "warning", "error"]
    )
    parser.add_argument("--version", action="version", version=f"stpspec {__version__}")
    return parser


def _dispatch(arguments: argparse.Namespace) -> int:
    from stpspec.resources import search_in

    overrides = [word for word in arguments.rest if _is_override(word)]
    paths = [word for word in arguments.rest if not _is_override(word)]
    missing = [d for d in arguments.config_dir if not Path(d).is_dir()]
    if missing:
        return _usage(f"--config-dir: no such folder: {missing[0]}")
    alone = {"list": _list, "schema": _schema, "completion": _completion, "collect": _collect,
             "dashboard": functools.partial(_dashboard, arguments)}  # fmt: skip
    if arguments.verb in alone:
        return alone[arguments.verb](paths)
    if not paths and not overrides:
        return _usage(f"stpspec {arguments.verb} what? For example: experiment=pvalb_pyr")
    with search_in(arguments.config_dir):
        if arguments.verb == "campaign":
            return _campaign(arguments, paths, overrides)
        if arguments.multirun:
            return _multirun(arguments, paths, overrides)
        if arguments.out and len(paths) > 1:
            return _usage("--out takes one result: give one PATH")
        return max(_attempt(arguments, path, overrides) for path in paths or [None])


def _attempt(arguments: argparse.Namespace, path: str | None, overrides: Sequence[str]) -> int:
    """Do one experiment; its errors do not keep the next from its turn."""
    try:
        return _one(arguments, path, overrides)
    except StpspecError as error:
        return complain(error, arguments.traceback)


def _is_override(word: str) -> bool:
    return word[:1] in ("+", "~") or ("=" in word and not _exists(word))


def _exists(word: str) -> bool:
    try:
        return Path(word).exists()
    except OSError:  # too long a name for a file, as a list of values may be
        return False


def _one(arguments: argparse.Namespace, path: str | None, overrides: Sequence[str]) -> int:
    from stpspec.cli import commands
    from stpspec.config.compose import choose, compose
    from stpspec.config.sweep_overrides import list_overrides

    _, file = choose(path)
    arguments.fitted = _fitted(file) if arguments.verb in ("run", "sweep") else {}
    if arguments.verb == "sweep":
        fields, rest = list_overrides(path, overrides)
        data, origin = compose(path, rest)
        return commands.sweep(arguments, data, origin.knowing(overrides), fields)
    data, origin = compose(path, overrides)
    if arguments.verb == "check":
        return commands.check(data, origin)
    return {"fit": commands.fit, "run": commands.run}[arguments.verb](arguments, data, origin)


def _fitted(file: Path | None) -> dict[str, float]:
    """Return the parameters of a saved result, when that is what the path names."""
    summary = file.parent / "summary.json" if file else None
    if summary is None or not summary.is_file() or not (summary.parent / "result.nc").is_file():
        return {}
    try:
        parameters = json.loads(summary.read_text(encoding="utf-8"))["parameters"]
        return {name: p["value"] for name, p in parameters.items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise StpspecError(f"{summary} cannot be read: {type(error).__name__}: {error}") from error


def _multirun(arguments: argparse.Namespace, paths: Sequence[str], overrides: list[str]) -> int:
    from stpspec.cli.launcher import launch_jobs

    if arguments.verb not in ("fit", "run"):
        return _usage(f"{arguments.verb} takes one experiment at a time: leave out -m")
    if len(paths) > 1:
        return _usage("with -m, name several experiments as experiment=a,b")
    return launch_jobs(arguments, paths[0] if paths else None, overrides)


def _campaign(arguments: argparse.Namespace, paths: Sequence[str], overrides: list[str]) -> int:
    from stpspec.cli import campaign
    from stpspec.cli.launcher import launch_campaign

    if not 1 <= len(paths) <= 2:
        return _usage("campaign takes a table and one experiment: TABLE experiment=pvalb_pyr")
    if arguments.multirun:
        return _usage("a campaign is many jobs already: leave out -m")
    if arguments.overwrite:
        return _usage("a campaign goes on where it stopped: for a new one choose another --out")
    launcher = [word for word in overrides if word.lstrip("+").startswith(("hydra/", "hydra."))]
    rest = [word for word in overrides if word not in launcher]
    root, pending = campaign.prepare(arguments, paths, rest)
    if launcher and pending:
        launch_campaign(arguments, root, pending, launcher)
        return campaign.close(arguments, root)
    return campaign.run(arguments, root, pending)


def _collect(paths: Sequence[str]) -> int:
    from stpspec.cli import campaign, commands

    if len(paths) != 1:
        return _usage("collect takes the folder of one multirun or campaign")
    if campaign.is_campaign(paths[0]):
        return campaign.collect(paths[0])
    return commands.collect(paths[0])


def _dashboard(arguments: argparse.Namespace, paths: Sequence[str]) -> int:
    from stpspec.dashboard.server import serve

    if len(paths) > 1:
        return _usage("dashboard takes one study")

    def ready(url: str) -> None:
        print(f"{url}\nit only reads; Ctrl-C ends it", flush=True)

    place = paths[0] if paths else None
    serve(place, arguments.host, arguments.port, ready, every=arguments.all)
    return 0


def _list(words: Sequence[str]) -> int:
    from stpspec.cli import catalog
    from stpspec.errors import unknown_name

    unknown = [w for w in words if w not in SORTS]
    if unknown:
        return _usage(str(unknown_name("list", unknown[0], SORTS)))
    print(catalog.text(words or SORTS))
    return 0


def _schema(words: Sequence[str]) -> int:
    from stpspec.errors import unknown_name
    from stpspec.specs.schema import json_schema

    if len(words) > 1 or any(w not in SCHEMAS for w in words):
        return _usage(str(unknown_name("schema", " ".join(words), SCHEMAS)))
    part = words[0] if words and words[0] != "experiment" else None
    print(json.dumps(json_schema(part), indent=2, ensure_ascii=False))
    return 0


def _completion(words: Sequence[str]) -> int:
    from stpspec.cli.completion.shells import SCRIPTS
    from stpspec.errors import unknown_name

    if len(words) != 1 or words[0] not in SHELLS:
        return _usage(str(unknown_name("shell", " ".join(words), SHELLS)))
    print(SCRIPTS[words[0]], end="")
    return 0


def _usage(message: str) -> int:
    print(f"stpspec: {message}\n  stpspec --help shows how it is used", file=sys.stderr)
    return 2
