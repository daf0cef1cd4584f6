"""The guard of the page: which hosts, origins and tokens it answers, and what it may load."""

from __future__ import annotations

import hmac
import ipaddress
import socket
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    RequestStartLine,
    ResponseStartLine,
)

TOKEN = "token"
_COOKIE = "stpspec-tuner"
# The page computes its templates (eval) and carries its own styles; the rest is served from here.
_POLICY = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; connect-src 'self' {sockets}; "
    "object-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self' http://127.0.0.1:* http://localhost:*"
)


def is_local(host: str) -> bool:
    """Tell whether only this computer can reach an address to listen at."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def names_of(host: str, port: int) -> set[str]:
    """Return what may stand in a Host header for an address that is listened at."""
    names = {"127.0.0.1", "localhost", "[::1]"} if is_local(host) else {_bracketed(host)}
    if host in ("0.0.0.0", "::", ""):
        names |= {"127.0.0.1", "localhost", "[::1]", socket.gethostname(), socket.getfqdn()}
        names |= {_bracketed(a) for a in _addresses()}
    return {f"{name.lower()}:{port}" for name in names}


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _addresses() -> set[str]:
    """Return the addresses of this computer."""
    found: set[str] = set()
    try:
        for info in socket.getaddrinfo(socket.gethostname(), None):
            found.add(str(info[4][0]).partition("%")[0])
    except OSError:
        pass
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # nothing is sent: it asks which way out there is
            found.add(str(probe.getsockname()[0]))
        except OSError:
            pass
    return found


class Guard(HTTPServerConnectionDelegate):
    """What stands before the application: it refuses, or hands a request on.

    Parameters
    ----------
    application : HTTPServerConnectionDelegate
    hosts : set of str
        ``name:port`` that may stand in a Host header and in an origin.
    token : str or None
        Without it in the address or in the cookie that the first page sets, nothing is shown.
    """

    def __init__(
        self, application: HTTPServerConnectionDelegate, hosts: set[str], token: str | None
    ):
        self._application = application
        self._hosts = hosts
        self._token = token
        sockets = " ".join(sorted(f"ws://{h}" for h in hosts if not h.startswith("[")))
        self._policy = _POLICY.format(sockets=sockets)

    def start_request(
        self, server_conn: object, request_conn: HTTPConnection
    ) -> HTTPMessageDelegate:
        """Return what reads the next request."""
        return _Request(self, server_conn, request_conn)

    def hand_on(self, server_conn: object, connection: _Answering) -> HTTPMessageDelegate:
        """Return the application's own delegate."""
        return self._application.start_request(server_conn, connection)

    def on_close(self, server_conn: object) -> None:
        """Tell the application that a connection has ended."""
        self._application.on_close(server_conn)

    def objection(self, line: RequestStartLine, headers: HTTPHeaders) -> str:
        """Return why a request is refused; empty if it is not."""
        host = headers.get("Host", "").lower()
        if host not in self._hosts:
            return (
                f"this tuner is not at {host or 'a host without a name'}; open the address it gave"
            )
        origin = headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc.lower() not in self._hosts:
            return f"a page of {origin} may not use this tuner"
        if self._token is not None and not self._knows_token(line, headers):
            return "the address needs the token that the tuner gave with it (?token=…)"
        return ""

    def _knows_token(self, line: RequestStartLine, headers: HTTPHeaders) -> bool:
        assert self._token is not None
        given = [*parse_qs(urlsplit(line.path).query).get(TOKEN, []), _cookie(headers)]
        return any(hmac.compare_digest(one.encode(), self._token.encode()) for one in given)

    def add_headers(self, headers: HTTPHeaders) -> None:
        """Add to an answer what a browser has to know."""
        headers["Content-Security-Policy"] = self._policy
        headers["X-Content-Type-Options"] = "nosniff"
        headers["Referrer-Policy"] = "no-referrer"
        if self._token is not None:
            cookie = f"{_COOKIE}={self._token}; HttpOnly; SameSite=Strict; Path=/"
            headers.add("Set-Cookie", cookie)


def _cookie(headers: HTTPHeaders) -> str:
    try:
        morsel = SimpleCookie(headers.get("Cookie", "")).get(_COOKIE)
    except CookieError:
        return ""
    return morsel.value if morsel is not None else ""


class _Answering(HTTPConnection):
    """A connection whose answers get further headers."""

    def __init__(self, connection: HTTPConnection, guard: Guard):
        self._connection, self._guard = connection, guard

    def __getattr__(self, name: str) -> Any:  # of the protocol below, as sockets of the web take
        return getattr(self._connection, name)

    def write(self, chunk: bytes) -> Any:
        return self._connection.write(chunk)

    def finish(self) -> None:
        self._connection.finish()

    def write_headers(
        self,
        start_line: RequestStartLine | ResponseStartLine,
        headers: HTTPHeaders,
        chunk: bytes | None = None,
    ) -> Any:
        self._guard.add_headers(headers)
        return self._connection.write_headers(start_line, headers, chunk)


class _Request(HTTPMessageDelegate):
    """One request: its headers decide who answers it."""

    def __init__(self, guard: Guard, server_conn: object, connection: HTTPConnection):
        self._guard, self._server_conn, self._connection = guard, server_conn, connection
        self._next: HTTPMessageDelegate | None = None
        self._objection = ""

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Any:
        assert isinstance(start_line, RequestStartLine)
        self._objection = self._guard.objection(start_line, headers)
        if self._objection:
            return None
        answering = _Answering(self._connection, self._guard)
        self._next = self._guard.hand_on(self._server_conn, answering)
        return self._next.headers_received(start_line, headers)

    def data_received(self, chunk: bytes) -> Any:
        return self._next.data_received(chunk) if self._next is not None else None

    def finish(self) -> None:
        if self._next is not None:
            self._next.finish()
            return
        text = f"403: {self._objection}\n".encode()
        headers = HTTPHeaders({"Content-Type": "text/plain; charset=utf-8",
                               "Content-Length": str(len(text))})  # fmt: skip
        line = ResponseStartLine("HTTP/1.1", 403, "Forbidden")
        self._connection.write_headers(line, headers, text)
        self._connection.finish()

    def on_connection_close(self) -> None:
        if self._next is not None:
            self._next.on_connection_close()
