"""The web server of a tuner: one page a session, at an address that only this computer can open."""

from __future__ import annotations

import asyncio
import secrets
import socket
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from stpspec.errors import TunerError
from stpspec.specs.experiment import Experiment

if TYPE_CHECKING:
    import panel as pn
    from bokeh.server.server import BaseServer

    from stpspec.tuner.page import Page
    from stpspec.tuner.state import State

MISSING = "the tuner needs the package panel: pip install 'stpspec[tuner]'"


def require_panel() -> None:
    """Import what the page is made of.

    Raises
    ------
    TunerError
        If it is not installed.
    """
    try:
        import panel  # noqa: F401
    except ImportError as error:
        raise TunerError(MISSING) from error


class TunerServer:
    """A tuner that a browser can open.

    Parameters
    ----------
    connections : mapping of str to Experiment
        What can be chosen, by name.
    changes : mapping of str to object, optional
        What is changed from the beginning.
    host : str
    port : int
        0 for any that is free.
    on_change : callable, optional
        Called with the state of a session after each change.

    Raises
    ------
    TunerError
        If panel is not installed, or the port is taken.
    """

    def __init__(
        self,
        connections: Mapping[str, Experiment],
        changes: Mapping[str, Any] | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        on_change: Callable[[State], None] | None = None,
    ):
        require_panel()
        self._connections, self._changes, self._on_change = connections, changes, on_change
        self._host = host
        try:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            self._socket = socket.create_server((host, port), family=family)
        except (OSError, OverflowError) as error:
            why = getattr(error, "strerror", None) or error
            raise TunerError(
                f"{host}:{port} cannot be listened on: {why}; another --port, or "
                f"--port 0 for any that is free"
            ) from error
        self._socket.setblocking(False)
        self.port = int(self._socket.getsockname()[1])
        self.token = None if _is_local(host) else secrets.token_urlsafe(16)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._pages: set[Page] = set()

    @property
    def address(self) -> str:
        """Where a browser finds the tuner, with the token that it may need."""
        name = socket.gethostname() if self._host in ("0.0.0.0", "::", "") else self._host
        name = f"[{name}]" if ":" in name else name
        token = f"?token={self.token}" if self.token else ""
        return f"http://{name}:{self.port}/{token}"

    def run(self) -> None:
        """Serve until Ctrl-C, or until :meth:`stop` is called from another thread."""
        asyncio.run(self._serve())

    def begin(self) -> None:
        """Serve in a thread."""
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(ready)), daemon=True)
        self._thread.start()
        ready.wait()

    def stop(self) -> None:
        """End the server, and the processes of its sessions."""
        loop, self._loop = self._loop, None
        if loop is not None:
            loop.call_soon_threadsafe(self._ended.set)
        if self._thread is not None:
            self._thread.join(20)

    async def _serve(self, ready: threading.Event | None = None) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        server = self._server()
        server.start()
        if ready is not None:
            ready.set()
        try:
            await self._ended.wait()
        finally:
            for page in list(self._pages):
                page.close()
            server.stop(wait=False)

    def _server(self) -> BaseServer:
        from bokeh.core.validation import silence
        from bokeh.core.validation.warnings import EMPTY_LAYOUT
        from bokeh.server.server import BaseServer
        from bokeh.server.tornado import BokehTornado
        from panel.io.application import build_applications
        from panel.io.resources import DIST_DIR
        from panel.io.server import INDEX_HTML
        from tornado.httpserver import HTTPServer
        from tornado.ioloop import IOLoop

        from stpspec.tuner.guard import Guard, names_of

        silence(EMPTY_LAYOUT, True)  # a group without knobs is no mistake
        hosts = names_of(self._host, self.port)
        application = BokehTornado(
            build_applications({"/": self._page}, title="stpspec tuner", location=False),
            extra_websocket_origins=sorted(hosts), sign_sessions=True,
            secret_key=secrets.token_bytes(32), ico_path=str(DIST_DIR / "images" / "favicon.ico"),
            index=INDEX_HTML, check_unused_sessions_milliseconds=2000,
            unused_session_lifetime_milliseconds=15_000,
            websocket_compression_level=None,
        )  # fmt: skip
        http = HTTPServer(Guard(application, hosts, self.token))
        http.add_sockets([self._socket])
        return BaseServer(IOLoop.current(), application, http)

    def _page(self) -> pn.Template:
        """Make the page of a new session."""
        import panel as pn

        from stpspec.tuner.page import Page

        query = {n: v[-1].decode("utf-8", "replace") for n, v in pn.state.session_args.items()}
        theme = "dark" if query.get("theme") == "dark" else "default"
        address = f"http://{pn.state.headers.get('Host', '')}/"
        page = Page(self._connections, theme, address, query, self._changes, self._on_change)
        self._pages.add(page)

        def destroyed(_context: object) -> None:
            self._pages.discard(page)
            page.close()

        pn.state.on_session_destroyed(destroyed)
        pn.state.onload(page.begin)
        return page.view()


def _is_local(host: str) -> bool:
    from stpspec.tuner.guard import is_local

    return is_local(host)
