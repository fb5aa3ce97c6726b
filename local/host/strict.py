"""What the real host's front, Kestrel with its defaults, refuses or changes before a function hears of a request."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, override

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    from starlette.types import Scope

REQUEST_LINE_BYTES = 8 * 1024
HEADER_BYTES = 32 * 1024
HEADER_LINES = 100
INCOMPLETE_BYTES = 256 * 1024
"""How much of a head is read before the limits above can be checked."""

_FOLDED = re.compile(rb"\r?\n[ \t]")
_DOTS = {".": ".", "..": "..", "%2e": ".", ".%2e": "..", "%2e.": "..", "%2e%2e": ".."}


class Protocol(H11Protocol):
    """Refuses header lines that go on in the next line, which h11 joins."""

    _head = b""

    @override
    def data_received(self, data: bytes) -> None:
        if self.conn.their_state is h11.IDLE:
            self._head = (self._head + data)[:INCOMPLETE_BYTES]
            head, end, _ = self._head.partition(b"\r\n\r\n")
            if _FOLDED.search(head):
                self.transport.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                self.transport.close()
                return
            if end:
                self._head = b""
        super().data_received(data)


def refusal(scope: Scope) -> HTTPStatus | None:
    """The status with which the request is refused, if it is."""
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    target = scope["raw_path"] + b"?" + scope["query_string"]
    if scope["http_version"] not in {"1.0", "1.1"}:
        return HTTPStatus.HTTP_VERSION_NOT_SUPPORTED
    if len(scope["method"]) + len(target) + len(" HTTP/1.1\r\n") > REQUEST_LINE_BYTES:
        return HTTPStatus.REQUEST_URI_TOO_LONG
    if len(headers) > HEADER_LINES or sum(len(name) + len(value) + 4 for name, value in headers) > HEADER_BYTES:
        return HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
    # The target of CONNECT is an authority, and its path an empty one, for which a route may be there.
    no_path = scope["method"] != "CONNECT" and not scope["raw_path"].startswith(b"/")
    if no_path or b"%00" in scope["raw_path"]:
        return HTTPStatus.BAD_REQUEST
    try:
        b"\n".join(value for _, value in headers).decode()
    except UnicodeDecodeError:
        return HTTPStatus.BAD_REQUEST
    return None


def without_dots(raw_path: bytes) -> bytes:
    """The path without `.` and `..` (RFC 3986 section 5.2.4), also where their dots are encoded."""
    kept: list[str] = []
    segments = raw_path.decode("latin-1").split("/")[1:]
    for position, segment in enumerate(segments):
        dots = _DOTS.get(segment.lower())
        if dots == ".." and kept:
            kept.pop()
        if dots is None:
            kept.append(segment)
        elif position == len(segments) - 1:
            kept.append("")
    return "/".join(["", *kept]).encode("latin-1")


OPTIONS: dict[str, Any] = {
    "http": Protocol,
    "h11_max_incomplete_event_size": INCOMPLETE_BYTES,
    "ws": "none",
    "log_config": None,
    "log_level": "critical",
    "date_header": False,
    "proxy_headers": False,
}
"""uvicorn's, for the public port."""
