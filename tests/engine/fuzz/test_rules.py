"""The rules notice what they are for: each broken answer breaks one."""

from __future__ import annotations

import pytest

from tests.engine.fuzz.hostile import MARK
from tests.engine.fuzz.requests import Request
from tests.engine.fuzz.rules import hold
from tests.engine.fuzz.server import Answer, Server

CALL = Request("POST", "/mcp", headers=(("authorization", "Bearer stolen"),))
GET = Request("GET", "/authorize")


class Nothing(Server):
    """Knows no token, and fills nothing in."""

    def __init__(self) -> None:
        self.known = {}
        self.valid_bearers = {"good"}


def answer(
    status: int = 200, body: bytes = b"", *, complete: bool = True, seconds: float = 0.0, **headers: str
) -> Answer:
    named = {"x_content_type_options": "nosniff", "content_type": "application/json", **headers}
    pairs = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in named.items()]
    return Answer(status=status, headers=pairs, body=body, complete=complete, seconds=seconds)


@pytest.mark.parametrize(
    ("request_", "broken"),
    [
        (GET, answer(500, b"{}")),
        (GET, answer(200, b"{}", complete=False)),
        (GET, answer(200, b"{}", seconds=6.0)),
        (GET, Answer(error=TimeoutError())),
        (GET, Answer(error=ValueError("x"))),
        (GET, answer(200, b"{}", x_content_type_options="")),
        (GET, answer(200, b"{}", location="a\r\nb")),
        (GET, answer(200, b"{}", x_injected="1")),
        (GET, answer(200, b"{}", content_length="3")),
        (GET, answer(200, b"{")),
        (GET, answer(200, b'{"a": NaN}')),
        (GET, answer(200, b"\xff")),
        (GET, answer(400, b'{"a": "Traceback (most recent call last)"}')),
        (GET, answer(400, b'"%s"' % (b"a" * 300_000))),
        (GET, answer(200, f"<p>{MARK}</p>".encode(), content_type="text/html")),
        (GET, answer(302, b"{}", location="https://evil.example/cb?code=x")),
        (GET, answer(302, b"{}", location="//evil.example/consent")),
        (CALL, answer(200, b"{}")),
        (Request("POST", "/mcp"), answer(202)),
        (Request("POST", "/register"), answer(201, b'{"redirect_uris": ["https://evil.example/cb"]}')),
        (Request("OPTIONS", "/register"), answer(201, b'{"redirect_uris": []}')),
    ],
    ids=lambda value: str(getattr(value, "status", ""))[:3] or None,
)
def test_broken_answer_is_noticed(request_: Request, broken: Answer) -> None:
    with pytest.raises((AssertionError, ValueError)):
        hold(Nothing(), request_, broken)


@pytest.mark.parametrize(
    ("request_", "right"),
    [
        (GET, answer(400, b'{"error": "invalid_request"}')),
        (GET, answer(302, b"", location="http://localhost:53682/callback?error=x", content_type="")),
        (GET, answer(302, b"", location="http://localhost:7071/consent?txn_id=x", content_type="")),
        (Request("POST", "/mcp", headers=(("authorization", "Bearer good"),)), answer(200, b"{}")),
        (CALL, answer(401, b"{}")),
        (Request("OPTIONS", "/register"), answer(200, b"OK", content_type="text/plain")),
    ],
)
def test_right_answer_passes(request_: Request, right: Answer) -> None:
    hold(Nothing(), request_, right)
