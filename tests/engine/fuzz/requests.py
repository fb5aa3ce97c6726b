"""Requests that are nearly right: what a client, a browser or Entra ID sends, with parts that are hostile or missing.

Secrets of the running server stand in the requests as `{name}`, so that an example can be repeated on another server.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_from_bytes

from hypothesis import strategies as st

from tests.engine.fuzz.hostile import BODIES, CONTENT_TYPES, HEADERS, HOSTILE, MARK, METHODS, NAMES, PLACEHOLDERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    Json = Any
    Pairs = list[tuple[str, str]]


@dataclass(frozen=True)
class Request:
    """One request; what is of the running server is filled in when it is sent."""

    method: str
    path: str
    query: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: tuple[bytes, ...] = (b"",)
    gone: bool = field(default=False)
    """Whether the client goes away in the middle of the body."""


def _text() -> st.SearchStrategy[str]:
    return st.one_of(st.sampled_from(HOSTILE), st.sampled_from(PLACEHOLDERS), st.text(max_size=20))


def _json() -> st.SearchStrategy[Json]:
    leaves = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), _text())
    return st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text(), inner, max_size=3), max_leaves=6
    )


def encoded(pairs: Pairs) -> str:
    """The pairs as a query or a form; placeholders stay, since what they stand for is safe in both."""
    return "&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in pairs)


def _quoted(text: str) -> str:
    return quote_from_bytes(text.encode("utf-8", "surrogatepass"), safe="{}%;/:?@!$'()*,+-._~")


@st.composite
def _pairs(draw: st.DrawFn, right: Mapping[str, str]) -> Pairs:
    """The right parameters, with some dropped, doubled, replaced or added."""
    pairs = list(right.items())
    for _ in range(draw(st.integers(0, 3))):
        if not pairs:
            break
        at = draw(st.integers(0, len(pairs) - 1))
        name, value = pairs[at]
        match draw(st.sampled_from(["drop", "double", "replace", "add", "rename"])):
            case "drop":
                del pairs[at]
            case "double":
                pairs.append((name, draw(st.just(value) | _text())))
            case "replace":
                pairs[at] = (name, draw(_text()))
            case "rename":
                pairs[at] = (draw(_text()), value)
            case _:
                pairs.append((draw(_text()), draw(_text())))
    return pairs


@st.composite
def _changed(draw: st.DrawFn, right: Json) -> Json:
    """A JSON value with some of its parts replaced."""
    if draw(st.integers(0, 9)) == 9:
        return draw(_json())
    match right:
        case dict():
            changed: dict[str, Json] = {name: draw(_changed(value)) for name, value in right.items()}  # pyright: ignore[reportUnknownVariableType] - any JSON
            if draw(st.integers(0, 4)) == 4:
                changed[draw(_text())] = draw(_json())
            if changed and draw(st.integers(0, 4)) == 4:
                del changed[draw(st.sampled_from(sorted(changed)))]
            return changed
        case list():
            return [draw(_changed(value)) for value in right]  # pyright: ignore[reportUnknownVariableType] - any JSON
        case _:
            return right


@st.composite
def _headers(draw: st.DrawFn, right: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    headers = dict(right)
    for _ in range(draw(st.integers(0, 3))):
        name = draw(st.sampled_from(NAMES))
        if name in headers and draw(st.booleans()):
            del headers[name]
        else:
            headers[name] = draw(st.sampled_from(HEADERS[name]))
    pairs = [("host", "localhost:7071"), *headers.items()] if "host" not in headers else list(headers.items())
    if draw(st.integers(0, 9)) == 9:
        pairs.append(draw(st.sampled_from(pairs)))
    return tuple(pairs)


@st.composite
def _chunks(draw: st.DrawFn, body: bytes) -> tuple[bytes, ...]:
    if len(body) > 1 and draw(st.integers(0, 5)) == 5:
        cut = draw(st.integers(0, len(body)))
        return body[:cut], body[cut:]
    return (body,)


@st.composite
def _request(
    draw: st.DrawFn,
    method: str,
    path: str,
    *,
    query: Mapping[str, str] | None = None,
    form: Mapping[str, str] | None = None,
    content: Json = None,
    headers: Mapping[str, str] | None = None,
) -> Request:
    """The right request with a few things wrong, most often with none of its outer parts."""
    body, kind = b"", None
    if form is not None:
        body, kind = encoded(draw(_pairs(form))).encode(), CONTENT_TYPES[0]
    elif content is not None:
        body, kind = json.dumps(draw(_changed(content))).encode(), "application/json"
    if draw(st.integers(0, 14)) == 14:
        method = draw(st.sampled_from(METHODS))
    if draw(st.integers(0, 14)) == 14:
        body = draw(st.sampled_from(BODIES) | st.binary(max_size=60))
    if draw(st.integers(0, 14)) == 14:
        kind = draw(st.none() | st.sampled_from(CONTENT_TYPES))
    if draw(st.integers(0, 29)) == 29:
        path = draw(
            st.sampled_from([f"{path}/", f"{path}//", f"/.{path}", f"{path}%00", f"{path}/..", path.upper(), "/"])
        )
    return Request(
        method=method,
        path=path,
        query=encoded(draw(_pairs(query or {}))) if query is not None else draw(st.just("") | st.just("a=b&%ff")),
        headers=draw(_headers({**(headers or {}), **({"content-type": kind} if kind is not None else {})})),
        body=draw(_chunks(body)),
        gone=draw(st.integers(0, 59)) == 59,
    )


REDIRECT = "http://localhost:53682/callback"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
SESSIONLESS: Json = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "fuzz", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {"elicitation": {"form": {}}},
}

REGISTER = _request(
    "POST",
    "/register",
    content={
        "client_name": MARK,
        "redirect_uris": [REDIRECT],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
        "scope": "access_as_user",
        "client_uri": "https://example.com",
        "contacts": ["a@example.com"],
        "jwks": {"keys": []},
    },
)
AUTHORIZE = _request(
    "GET",
    "/authorize",
    query={
        "response_type": "code",
        "client_id": "{client_id}",
        "redirect_uri": REDIRECT,
        "state": MARK,
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        "scope": "access_as_user",
        "resource": "http://localhost:7071/mcp",
    },
)
CONSENT = st.one_of(
    _request("GET", "/consent", query={"txn_id": "{txn_id}"}, headers={"accept": "text/html", "cookie": "{cookie}"}),
    _request(
        "POST",
        "/consent",
        query={"txn_id": "{txn_id}"},
        form={"txn_id": "{txn_id}", "csrf_token": "{csrf_token}", "action": "approve"},
        headers={"cookie": "{cookie}", "origin": "http://localhost:7071"},
    ),
)
CALLBACK = st.one_of(
    _request("GET", "/auth/callback", query={"code": "x", "state": "{txn_id}"}, headers={"cookie": "{cookie}"}),
    _request("GET", "/auth/callback", query={"error": MARK, "error_description": MARK, "state": "{txn_id}"}),
)
TOKEN = st.one_of(
    *(
        _request(
            "POST",
            "/token",
            form={
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": REDIRECT,
                "client_id": "{client_id}",
                "code_verifier": VERIFIER,
                "resource": "http://localhost:7071/mcp",
            },
        )
        for code in ("{code}", "{used_code}")
    ),
    *(
        _request(
            "POST",
            "/token",
            form={
                "grant_type": "refresh_token",
                "refresh_token": token,
                "client_id": "{client_id}",
                "scope": "access_as_user",
            },
        )
        for token in ("{refresh_token}", "{used_refresh_token}")
    ),
)
REVOKE = _request(
    "POST", "/revoke", form={"token": "{used_code}", "token_type_hint": "access_token", "client_id": "{client_id}"}
)
_MCP_HEADERS = {
    "accept": "application/json, text/event-stream",
    "authorization": "Bearer {access_token}",
    "mcp-protocol-version": "2025-11-25",
}


def _message(method: str, **params: Json) -> Json:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


_MESSAGES: tuple[Json, ...] = (
    _message("tools/call", name="add", arguments={"a": 1, "b": 2}),
    _message("tools/call", name="whoami", arguments={}, _meta={"progressToken": 1}),
    _message("tools/call", name="remember", arguments={"name": "x", "text": MARK}),
    _message("tools/call", name="recall", arguments={"name": "x"}),
    _message("tools/call", name="plan_trip", arguments={"destination": MARK, "days": 2, "style": "food"}),
    _message("tools/call", name="export_report", arguments={"year": 2025, "region": "europe", "seconds_each_month": 0}),
    _message("tools/call", name="my_calendar", arguments={"days": 1}),
    _message("tools/list", cursor="x"),
    _message(
        "initialize",
        protocolVersion="2025-11-25",
        capabilities={"roots": {"listChanged": True}},
        clientInfo={"name": "fuzz", "version": "1"},
    ),
    {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1, "reason": "x"}},
    {"jsonrpc": "2.0", "id": 7, "result": {"roots": []}},
    [_message("ping"), _message("tools/list")],
    _message("resources/read", uri="file:///etc/passwd"),
    _message("prompts/get", name="x", arguments={"a": "b"}),
    _message("completion/complete", ref={"type": "ref/prompt", "name": "x"}, argument={"name": "a", "value": "b"}),
    _message("logging/setLevel", level="debug"),
    _message("tasks/get", taskId="x"),
)

PLAN: Json = {
    "name": "plan_trip",
    "arguments": {"destination": "x"},
    "requestState": "{request_state}",
    "inputResponses": {
        "wishes": {"action": "accept", "content": {"days": 2, "style": "food"}},
        "approval": {"action": "accept", "content": {"approved": True}},
    },
}

MCP = st.one_of(
    *(_request("POST", "/mcp", content=message, headers=_MCP_HEADERS) for message in _MESSAGES),
    *(
        _request(
            "POST",
            "/mcp",
            content=_message(method, **params, _meta=SESSIONLESS),
            headers={
                **_MCP_HEADERS,
                "mcp-protocol-version": "2026-07-28",
                "mcp-method": method,
                "mcp-name": str(params.get("name", "add")),
            },
        )
        for method, params in (
            ("tools/call", {"name": "add", "arguments": {"a": 1, "b": 2}, "requestState": "x", "inputResponses": {}}),
            ("tools/call", {"name": "plan_trip", "arguments": {"destination": "x"}}),
            ("tools/call", PLAN),
            ("tools/call", PLAN),
            ("tools/list", {}),
            ("server/discover", {}),
            ("subscriptions/listen", {"notifications": {"toolsListChanged": False}}),
        )
    ),
    _request("GET", "/mcp", headers=_MCP_HEADERS),
    _request("DELETE", "/mcp", headers=_MCP_HEADERS),
)
OTHER = st.one_of(
    *(
        _request("GET", path, query={}, headers={"accept": "text/html"})
        for path in (
            *(
                "/",
                "/readyz",
                "/healthz",
                "/.well-known/oauth-authorization-server",
                "/.well-known/openid-configuration",
            ),
            *("/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-authorization-server/mcp", "/nothing"),
        )
    )
)

ENDPOINTS: dict[str, st.SearchStrategy[Request]] = {
    "all": st.one_of(AUTHORIZE, CALLBACK, CONSENT, MCP, OTHER, REGISTER, REVOKE, TOKEN),
    "authorize": AUTHORIZE,
    "callback": CALLBACK,
    "consent": CONSENT,
    "mcp": MCP,
    "other": OTHER,
    "register": REGISTER,
    "revoke": REVOKE,
    "token": TOKEN,
}
