"""Controls of optuna-dashboard that write are not shown: nothing can be written here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

# The icons that its buttons have: to create, rename and delete a study, to edit a note.
ICONS = ("AddBoxIcon", "DriveFileRenameOutlineIcon", "DeleteIcon", "EditIcon")
_HIDDEN = [
    *(f'button:has(svg[data-testid="{icon}"])' for icon in ICONS),
    '.MuiCard-root:has(svg[data-testid="UploadFileIcon"])',  # the place for a file to upload
]
STYLE = f"<style>{', '.join(_HIDDEN)} {{ display: none !important }}</style>".encode()

Head = tuple[str, list[tuple[str, str]]]  # status and headers of an answer


def called(page: WSGIApplication, environ: WSGIEnvironment) -> tuple[Head, list[bytes]]:
    """Return the answer of a page: status with headers, and content; files are closed."""
    head: list[Head] = []
    body: list[bytes] = []

    def take_head(
        status: str, headers: list[tuple[str, str]], exc_info: object = None, /
    ) -> Callable[[bytes], object]:
        head.append((status, headers))
        return body.append

    answer = page(environ, take_head)
    body.extend(answer)
    if close := getattr(answer, "close", None):  # of a file
        close()
    return head[-1], body


class WithoutControls:
    """The pages of the dashboard with a style that hides what would only be refused.

    Parameters
    ----------
    page : WSGI application
    """

    def __init__(self, page: WSGIApplication):
        self._page = page

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if not environ["PATH_INFO"].startswith("/dashboard"):
            return self._page(environ, start_response)
        environ = {n: v for n, v in environ.items() if n not in _OF_A_CACHE}
        (status, headers), body = called(self._page, environ)
        if any(n.lower() == "content-type" and "html" in v for n, v in headers):
            body = [b"".join(body).replace(b"</head>", STYLE + b"</head>", 1)]
            headers = [(n, v) for n, v in headers if n.lower() not in _OF_A_FILE]
            headers.append(("Content-Length", str(len(body[0]))))
        start_response(status, headers)
        return body


# The page is another one than the file that it is made of.
_OF_A_CACHE = ("HTTP_IF_MODIFIED_SINCE", "HTTP_IF_NONE_MATCH", "HTTP_RANGE")
_OF_A_FILE = ("content-length", "last-modified", "etag", "accept-ranges")
