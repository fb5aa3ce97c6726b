"""What holds for every answer, whatever was asked."""

from __future__ import annotations

import json
import re
import time
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from entra_mcp.auth.clients.redirects import is_allowed
from entra_mcp.known_clients import redirect_patterns
from tests.engine.fuzz.hostile import MARK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.engine.fuzz.requests import Request
    from tests.engine.fuzz.server import Answer, Server

KNOWN_CLIENTS = redirect_patterns(["defaults"])
SLOW_SECONDS = 5.0
POSTED = frozenset({"/register", "/token", "/revoke"})
LARGEST_ERROR = 256 * 1024
INSIDE = ("Traceback (most recent call last)", "site-packages", "AADSTS", "pydantic", 'File "/')
"""What would disclose how the server is built."""


def check(server: Server, requests: Sequence[Request]) -> None:
    """Sends the requests one after the other and looks at each answer, from which the next one may take something."""
    known = dict(server.known)
    try:
        _check_each(server, requests)
    finally:
        server.known = known


def _check_each(server: Server, requests: Sequence[Request]) -> None:
    for request in requests:
        answer = server.send(request)
        if answer.status == 503 and answer.header("retry-after") and request.path != "/readyz":
            # A dependency was slow; what is due to the request comes again.
            time.sleep(0.5)
            answer = server.send(request)
        server.learn(request, answer)
        hold(server, request, answer)


def hold(server: Server, request: Request, answer: Answer) -> None:
    """Raises when an answer breaks a rule."""
    assert not isinstance(answer.error, TimeoutError), "no answer in time"
    if request.gone:
        return  # nobody reads what is answered
    assert answer.error is None, f"an exception left the application: {answer.error!r}"
    assert answer.complete, "the answer has no end"
    assert 200 <= answer.status < 500, f"{answer.status} {answer.body[:300]!r}"
    assert answer.seconds < SLOW_SECONDS, f"{answer.seconds:.1f} s of the processor"
    _headers(request, answer)
    _body(request, answer)
    _access(server, request, answer)


def _headers(request: Request, answer: Answer) -> None:
    for name, value in answer.headers:
        assert re.fullmatch(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name), name
        assert re.fullmatch(rb"[\t\x20-\x7e\x80-\xff]*", value), (name, value)
        assert name.lower() != b"x-injected"
    assert answer.header("x-content-type-options") == "nosniff" or request.path == "/healthz"
    length = answer.header("content-length")
    if length and request.method != "HEAD":
        assert int(length) == len(answer.body)
    assert len([name for name, _ in answer.headers if name.lower() in {b"content-length", b"content-type"}]) <= 2


def _body(request: Request, answer: Answer) -> None:
    kind = answer.header("content-type").partition(";")[0]
    text = answer.body.decode("utf-8")
    if kind == "application/json" and request.method != "HEAD" and answer.status != HTTPStatus.ACCEPTED:
        json.loads(text, parse_constant=_refuse)
    if kind == "text/html":
        assert MARK not in text
        assert "<fuzz" not in text
    if kind == "text/event-stream":
        for line in text.splitlines():
            if line.startswith("data:") and line[5:].strip():
                json.loads(line[5:])
    if answer.status >= 400:
        assert len(answer.body) < LARGEST_ERROR
        assert request.path == "/mcp" or not any(word in text for word in INSIDE), text[:500]


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


def _access(server: Server, request: Request, answer: Answer) -> None:
    """Nobody gets in who did not show the right thing, and nobody is sent to a stranger."""
    headers = {name: server.filled(value) for name, value in request.headers}
    if request.path == "/mcp" and answer.status in {200, 202} and request.method != "OPTIONS":
        scheme, _, token = headers.get("authorization", "").partition(" ")
        assert scheme.lower() == "bearer"
        assert token.strip() in server.valid_bearers, "a call got in without a good token"
    location = answer.header("location")
    if location:
        parts = urlsplit(location)
        own = parts.netloc in {"", "localhost:7071"} and parts.path == "/consent"
        known = parts.path.endswith("/oauth2/v2.0/authorize") and request.path == "/consent"
        assert own or known or is_allowed(location.partition("?")[0], KNOWN_CLIENTS), location
    if request.path in POSTED and request.method != "POST":
        # A preflight is answered in plain text. Limits on POSTs would not see what another method gets done.
        assert answer.status >= 400 or not answer.header("content-type").startswith("application/json")
    if answer.status == 201:
        assert all(is_allowed(uri, KNOWN_CLIENTS) for uri in json.loads(answer.body)["redirect_uris"])
