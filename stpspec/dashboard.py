"""The dashboard: a study in optuna-dashboard, to be looked at and never touched.

Nothing is written: not by the page (every request that could is refused), and not to show the
notes, which are made on the way to it.
"""

from __future__ import annotations

import gc
import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.util import setup_testing_defaults

import yaml

from stpspec.dataset import SIGNALS
from stpspec.errors import DashboardError, StpspecError, StudyError, nearest
from stpspec.folders import to_yaml
from stpspec.registry import METRICS, RECORDINGS
from stpspec.studies import artifact_folder, open_storage, trial_facts
from stpspec.view.tables import unit_text

_HOME = "stpspec-studies"
_READS = ("GET", "HEAD")


def find(study: str | None) -> tuple[str, str | None]:
    """Return the storage that holds a study, and the study's name (None: all that it holds).

    Parameters
    ----------
    study : str, optional
        Name of a study, journal file, storage URL, or the folder of a fit that had a study.

    Raises
    ------
    DashboardError
        If there is no such study.
    """
    there = {p.stem: p for p in sorted(Path(_HOME).glob("*.journal"))}
    if study is None:
        if len(there) == 1:
            return str(next(iter(there.values()))), None
        raise DashboardError(
            f"which study? Name a journal file, a storage URL, the folder of a fit or a study in "
            f"{_HOME}/ ({', '.join(there) or 'none there'})"
        )
    if "://" in study:
        return study, None
    path = Path(study).expanduser()
    if path.is_dir():
        return _of_result(path)
    if path.is_file():
        return str(path), None
    if study in there:
        return str(there[study]), study
    guess = nearest(study, there)
    hint = f"; did you mean {guess!r}?" if guess else ""
    known = f" (there: {', '.join(there)})" if there else ""
    raise DashboardError(f"there is no study {study!r} in {_HOME}/, nor such a file{hint}{known}")


def _of_result(folder: Path) -> tuple[str, str]:
    file = folder / "experiment.yaml"
    spec = yaml.safe_load(file.read_text(encoding="utf-8")) if file.is_file() else {}
    study = (spec or {}).get("study")
    if not study:
        raise DashboardError(f"{folder} is no result of a fit with a study (study: NAME)")
    return study.get("storage") or f"{_HOME}/{study['name']}.journal", study["name"]


def application(place: str, name: str | None = None) -> tuple[Callable[..., Any], str]:
    """Return the WSGI application that shows a storage, and the path of the study's page.

    Raises
    ------
    DashboardError
        If optuna-dashboard is not installed.
    StudyError
        If the storage cannot be opened, or holds no such study.
    """
    from optuna.storages import BaseStorage

    try:
        from optuna_dashboard import wsgi
    except ImportError as error:
        raise DashboardError(
            "the dashboard needs the package optuna-dashboard: pip install 'stpspec[dashboard]'"
        ) from error
    if "://" not in place and not Path(place).is_file():
        raise StudyError(f"there is no journal {place}")
    storage = open_storage(place, trim=False)
    studies = {s.study_name: s for s in storage.get_all_studies()}
    if not studies or (name is not None and name not in studies):
        known = ", ".join(studies) or "no study"
        raise StudyError(f"the storage {place} holds {known}, not {name or 'one to show'}")
    chosen = studies[name] if name else next(iter(studies.values()))
    page = f"/dashboard/studies/{chosen._study_id}" if len(studies) == 1 or name else "/dashboard"
    folder = artifact_folder(chosen)
    store: Any = None
    if folder is not None and folder.is_dir():
        from optuna.artifacts import FileSystemArtifactStore

        store = FileSystemArtifactStore(base_path=str(folder))
    BaseStorage.register(_View)
    view: Any = _View(storage)
    return _only_reading(wsgi(view, artifact_store=store)), page


def serve(
    study: str | None, host: str, port: int, ready: Callable[[str], None] = lambda url: None
) -> None:
    """Show a study until Ctrl-C.

    Parameters
    ----------
    study : str, optional
        As in :func:`find`.
    host : str
    port : int
        0 for any that is free.
    ready : callable
        Called with the address of the page as soon as it can be opened.

    Raises
    ------
    DashboardError
        If there is nothing to show, or the port is taken.
    """
    # A study is many small objects that stay: looking through them for garbage takes a fifth of the
    # time in which it opens.
    gc.set_threshold(200_000, 20, 100)
    app, page = application(*find(study))
    gc.freeze()
    try:
        server = make_server(host, port, app, server_class=_Server, handler_class=_Quiet)
    except OSError as error:
        raise DashboardError(
            f"{host}:{port} cannot be listened on: {error.strerror or error}; another --port, or "
            f"--port 0 for any that is free"
        ) from error
    with server:
        threading.Thread(target=_warm, args=(app, page), daemon=True).start()
        ready(f"http://{host}:{server.server_address[1]}{page}")
        server.serve_forever(poll_interval=0.2)


def _warm(app: Callable[..., Any], page: str) -> None:
    """Ask for the study once, so that the browser finds the trials of a long one understood."""
    environ: dict[str, Any] = {}
    setup_testing_defaults(environ)
    for path in ("", "/param_importances"):
        environ |= {"PATH_INFO": page.replace("/dashboard", "/api", 1) + path}
        list(app(dict(environ), lambda *_: None))


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: one line a request would hide what matters."""


def _only_reading(app: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        if environ["REQUEST_METHOD"] in _READS:
            return app(environ, start_response)
        start_response("403 Forbidden", [("Content-Type", "application/json")])
        reason = "this dashboard only reads: the study belongs to the fit that writes it"
        return [json.dumps({"reason": reason}).encode()]

    return guarded


class _View:
    """A storage as the page shall see it: with notes, each trial's facts by name, unwritable."""

    def __init__(self, storage: Any):
        self._storage = storage
        self._shown: dict[int, tuple[Any, Any]] = {}

    def __getattr__(self, name: str) -> Any:
        if name.startswith("get_"):
            return getattr(self._storage, name)
        raise StudyError(f"the dashboard only reads, and does not {name.replace('_', ' ')}")

    def get_all_studies(self) -> list[Any]:
        studies = self._storage.get_all_studies()
        for study in studies:
            study.system_attrs = study.system_attrs | _note(study)
            study.user_attrs = {
                n: v for n, v in study.user_attrs.items() if n not in ("spec", "artifacts")
            }
        return studies

    def get_all_trials(self, study_id: int, **options: Any) -> list[Any]:
        trials = self._storage.get_all_trials(study_id, **options)
        return [self._facts(t) for t in trials]

    def get_best_trial(self, study_id: int) -> Any:
        return self._facts(self._storage.get_best_trial(study_id))

    def _facts(self, trial: Any) -> Any:
        known = self._shown.get(trial._trial_id)
        if known is None or known[0] is not trial:
            self._shown[trial._trial_id] = known = (trial, trial_facts(trial))
        return known[1]


def _note(study: Any) -> dict[str, Any]:
    """Return the system attributes in which optuna-dashboard looks for a note."""
    import optuna
    from optuna_dashboard import save_note

    text = study.user_attrs.get("spec")
    if text is None:
        return {}
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    page = optuna.create_study()
    optuna.logging.set_verbosity(level)
    save_note(page, "\n".join(_lines(json.loads(text))))
    return dict(page._storage.get_study_system_attrs(page._study_id))


def _lines(spec: dict[str, Any]) -> Iterator[str]:
    """Yield the targets as a table and the experiment as YAML, in Markdown."""
    yield f"# {spec.get('name', 'experiment')}\n"
    yield "| term | metric | protocol | unit | target | sd |\n|---|---|---|---|---|---|"
    for name, term in ((spec.get("objective") or {}).get("terms") or {}).items():
        target = term["target"]
        if isinstance(target, list):
            target = f"{len(target)} values"
        sd = term.get("sd")
        sd = "each its own" if isinstance(sd, list) else "" if sd is None else sd
        unit = _unit(term, spec["recording"]["kind"])
        yield f"| {name} | {term['metric']} | {term['protocol']} | {unit} | {target} | {sd} |"
    yield f"\n```yaml\n{to_yaml(spec)}```"


def _unit(term: dict[str, Any], recording: str) -> str:
    """Return the unit of a target; nothing where a plug-in that is not here would know it."""
    try:
        metric = METRICS.get(term["metric"])
        options = metric.options.model_validate(term["options"]).model_dump()
        signal = options.get("signal") or RECORDINGS.get(recording).default_signal
        return unit_text(metric.unit_in(SIGNALS[signal][0], options))
    except (StpspecError, ValueError, KeyError):
        return ""
