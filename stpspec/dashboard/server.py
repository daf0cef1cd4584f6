"""The dashboard: a study in optuna-dashboard, read-only.

Nothing is written: not by the page (every request that could is refused), and not to show the
notes, which are added to what the page is sent.
"""

from __future__ import annotations

import contextlib
import gc
import ipaddress
import json
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import urlsplit
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.util import setup_testing_defaults

import yaml

from stpspec.dashboard.controls import Head, WithoutControls, called
from stpspec.dashboard.joined import JoinedStorage, studies_below
from stpspec.dashboard.storage_view import StudyPage
from stpspec.errors import DashboardError, StudyError, nearest
from stpspec.formatting import hide
from stpspec.resources import expanded
from stpspec.specs.study import StudySpec
from stpspec.studies.artifacts import artifact_folders
from stpspec.studies.compatibility import of_name
from stpspec.studies.damage import damage_named
from stpspec.studies.storage import open_storage

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from optuna.storages import BaseStorage

_HOME = "stpspec-studies"
_READS = ("GET", "HEAD")
_NO_SNIFFING = ("X-Content-Type-Options", "nosniff")  # text of a study is never taken for a page
_REUSE = 5.0  # times as long as it took to compute an answer, it is sent again


def find_study(study: str | None) -> tuple[str, str | None]:
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
    journals = {p.stem: p for p in sorted(Path(_HOME).glob("*.journal"))}
    if study is None:
        if len(journals) == 1:
            return str(next(iter(journals.values()))), None
        raise DashboardError(
            f"which study? Name a journal file, a storage URL, the folder of a fit or a study in "
            f"{_HOME}/ ({', '.join(journals) or 'none there'})"
        )
    if "://" in study:
        return study, None
    path = expanded(study)
    if path.is_dir():
        return _of_result(path)
    if path.is_file():
        return str(path), None
    if study in journals:
        return str(journals[study]), study
    guess = nearest(study, journals)
    hint = f"; did you mean {guess!r}?" if guess else ""
    names = f" (there: {', '.join(journals)})" if journals else ""
    raise DashboardError(f"there is no study {study!r} in {_HOME}/, nor such a file{hint}{names}")


def _of_result(folder: Path) -> tuple[str, str]:
    file = folder / "experiment.yaml"
    try:
        data = yaml.safe_load(file.read_text(encoding="utf-8")) if file.is_file() else {}
        study = data.get("study") if isinstance(data, dict) else None
        if not study:
            raise DashboardError(f"{folder} is no result of a fit with a study (study: NAME)")
        spec = StudySpec.model_validate(study)
    except OSError as error:
        raise DashboardError(f"{file} cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise DashboardError(f"{file} is damaged, or no experiment: {error}") from error
    return spec.place, spec.name


def application(
    place: str, name: str | None = None, *, every: bool = False, host: str = "127.0.0.1"
) -> tuple[WSGIApplication, str]:
    """Return the WSGI application that shows a storage, and the path of the study's page.

    Parameters
    ----------
    place : str
    name : str, optional
    every : bool
        Whether every trial of a long study is shown; else some thousands.

    Raises
    ------
    DashboardError
        If optuna-dashboard is not installed.
    StudyError
        If the storage cannot be opened, or holds no such study.
    """
    if "://" not in place and not Path(place).is_file():
        raise StudyError(f"there is no journal {place}")
    storage = open_storage(place, read_only=True).optuna
    with damage_named(place):
        studies = {s.study_name: s for s in storage.get_all_studies()}
    matches = list(studies) if name is None else of_name(name, studies)
    if not matches:
        names = ", ".join(studies) or "no study"
        other = f", not {name}" if name else ""
        raise StudyError(f"the storage {hide(place)} holds {names}{other}")
    number = storage.get_study_id_from_name(matches[-1 if name else 0])
    path = f"/dashboard/studies/{number}" if len(studies) == 1 or name else "/dashboard"
    return _pages(storage, [place], every=every, host=host), path


def folder_application(
    pairs: Sequence[tuple[str, str]], *, every: bool = False, host: str = "127.0.0.1"
) -> tuple[WSGIApplication, str]:
    """Return the WSGI application that shows the studies of a campaign or multirun, and its path.

    Parameters
    ----------
    pairs : sequence of (place, name)
        As :func:`stpspec.dashboard.joined.studies_below` finds them; what a fit has not begun to
        write is left out.
    every : bool

    Raises
    ------
    DashboardError
        If optuna-dashboard is not installed, or no study has been begun.
    StudyError
        If a storage cannot be opened.
    """
    parts: dict[str, tuple[BaseStorage, list[str]]] = {}
    for place, name in pairs:
        if "://" not in place and not Path(place).is_file():
            continue
        if place not in parts:
            parts[place] = (open_storage(place, read_only=True).optuna, [])
        storage, names = parts[place]
        with damage_named(place):
            names += of_name(name, {s.study_name: s for s in storage.get_all_studies()})
    if not any(names for _, names in parts.values()):
        raise DashboardError("none of its fits has begun a study yet")
    joined: Any = JoinedStorage(list(parts.values()))
    return _pages(joined, list(parts), every=every, host=host), "/dashboard"


def _pages(
    storage: BaseStorage, places: Sequence[str], *, every: bool, host: str
) -> WSGIApplication:
    """Return the pages of a storage, to be read only."""
    from optuna.storages import BaseStorage

    try:
        from optuna_dashboard import wsgi
    except ImportError as error:
        raise DashboardError(
            "the dashboard needs the package optuna-dashboard: pip install 'stpspec[dashboard]'"
        ) from error
    BaseStorage.register(StudyPage)
    # Optuna takes them by their registration, or by their methods: no type says so.
    views: list[Any] = [StudyPage(storage, every=e) for e in (every, True)]
    figures: Any = _Figures(storage, places)
    page, download = (wsgi(view, artifact_store=figures) for view in views)
    return _ReadOnly(WithoutControls(page), download, host)


def serve(
    study: str | None, host: str, port: int,
    ready: Callable[[str], None] = lambda url: None, *, every: bool = False,
) -> None:  # fmt: skip
    """Show a study until Ctrl-C.

    Parameters
    ----------
    study : str, optional
        As in :func:`find_study`; or the folder of a campaign or multirun, of all its studies.
    host : str
    port : int
        0 for any that is free.
    ready : callable
        Called with the address of the page as soon as it can be opened.
    every : bool
        As in :func:`application`.

    Raises
    ------
    DashboardError
        If there is nothing to show, or the port is taken.
    """
    # A study is many small objects that stay: the garbage collector would take a fifth of the time
    # in which it opens to look through them.
    gc.set_threshold(200_000, 20, 100)
    pairs = studies_below(Path(study)) if study is not None and Path(study).is_dir() else []
    if pairs:
        app, page = folder_application(pairs, every=every, host=host)
    else:
        app, page = application(*find_study(study), every=every, host=host)
    gc.freeze()
    try:
        server = make_server(host, port, app, server_class=_Server, handler_class=_Quiet)
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or error
        raise DashboardError(
            f"{host}:{port} cannot be listened on: {why}; another --port, or "
            f"--port 0 for any that is free"
        ) from error
    with server:
        threading.Thread(target=_warm, args=(app, page), daemon=True).start()
        ready(f"http://{host}:{server.server_address[1]}{page}")
        server.serve_forever(poll_interval=0.2)


def _warm(app: WSGIApplication, page: str) -> None:
    """Ask for the study once, so that the answer is ready, or nearly so, when the browser asks."""
    environ: WSGIEnvironment = {}
    setup_testing_defaults(environ)
    for path, query in (("", "after=0"), ("/param_importances", "")):
        request = page.replace("/dashboard", "/api", 1) + path
        app(environ | {"PATH_INFO": request, "QUERY_STRING": query}, lambda *_: [].append)


class _Figures:
    """The artifacts of the studies of a storage, in the folder beside it or where they were added.

    The folders are looked for at each request: a fit adds its first figure after a minute.
    """

    def __init__(self, storage: BaseStorage, places: Sequence[str]):
        self._storage = storage
        self._places = places

    def open_reader(self, artifact_id: str) -> BinaryIO:
        """Return an artifact, to be read."""
        from bottle import HTTPError
        from optuna.artifacts import FileSystemArtifactStore
        from optuna.artifacts.exceptions import ArtifactNotFound

        studies = self._storage.get_all_studies()
        folders = (f for place in self._places for f in artifact_folders(studies, place))
        for folder in dict.fromkeys(folders):
            with contextlib.suppress(ArtifactNotFound):
                return FileSystemArtifactStore(folder).open_reader(artifact_id)
        raise HTTPError(404, "this figure is on the machine that drew it")


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: one line a request would hide what matters."""


class _ReadOnly:
    """The pages of a study, to be read only.

    An answer is sent again for some times as long as it took to compute: the browser asks while
    the first answer is being computed (`_warm`), and however long the study, most of the processor
    is left to the fit.
    """

    def __init__(self, page: WSGIApplication, download: WSGIApplication, host: str):
        self._page, self._download, self._host = page, download, host
        self._lock = threading.Lock()
        self._answers: dict[str, tuple[float, Head, list[bytes]]] = {}

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if not self._is_own(environ.get("HTTP_HOST", "")):
            # A page of others may have given its own name the address of this machine.
            return _refusal(start_response, "403 Forbidden", "this dashboard has another address")
        if environ["REQUEST_METHOD"] not in _READS:
            reason = "this dashboard only reads: the study belongs to the fit that writes it"
            return _refusal(start_response, "403 Forbidden", reason)
        if path.startswith("/api/"):
            with self._lock:
                (status, headers), body = self._answer(environ)
        else:
            page = self._download if path.startswith("/csv/") else self._page
            (status, headers), body = called(page, environ)
        if status.startswith("500"):
            reason = "this part of the study is damaged, or not of stpspec, and cannot be shown"
            return _refusal(start_response, "422 Unprocessable Content", reason)
        if path.startswith("/artifacts/"):  # a figure, whatever else others put there: no script
            headers = [*headers, ("Content-Security-Policy", "sandbox; default-src 'none'")]
        start_response(status, [*headers, _NO_SNIFFING])
        return body

    def _is_own(self, host: str) -> bool:
        """Tell whether a request names this machine: by its address, or as it was started."""
        name = urlsplit(f"//{host}").hostname or "localhost"
        with contextlib.suppress(ValueError):
            ipaddress.ip_address(name)
            return True
        return name in {"localhost", self._host.lower(), socket.gethostname().lower(),
                        socket.getfqdn().lower()}  # fmt: skip

    def _answer(self, environ: WSGIEnvironment) -> tuple[Head, list[bytes]]:
        start = time.monotonic()
        self._answers = {key: answer for key, answer in self._answers.items() if start < answer[0]}
        key = " ".join(environ.get(n, "") for n in ("REQUEST_METHOD", "PATH_INFO", "QUERY_STRING"))
        if key not in self._answers:
            head, body = called(self._page, environ)
            end = time.monotonic()
            self._answers[key] = (end + _REUSE * (end - start), head, body)
        return self._answers[key][1:]


def _refusal(start_response: StartResponse, status: str, reason: str) -> list[bytes]:
    start_response(status, [("Content-Type", "application/json"), _NO_SNIFFING])
    return [json.dumps({"reason": reason}).encode()]
