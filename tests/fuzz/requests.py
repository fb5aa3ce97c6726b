"""Requests that are nearly right: what a client, a browser or Entra ID sends, with parts that are hostile or missing.

Secrets of the running server stand in the requests as `{name}`, so that an example can be repeated on another server.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_from_bytes

from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Mapping

    Json = Any
    Pairs = list[tuple[str, str]]

MARK = "<fuzz onload=alert(1)>"
"""What must never be in a page as it is."""

SECRETS = (
    *("client_id", "code", "used_code", "access_token", "refresh_token", "used_refresh_token", "txn_id", "csrf_token"),
    "request_state",
)
"""What a running server fills in."""

PLACEHOLDERS = [f"{{{name}}}" for name in SECRETS]

HOSTILE = [
    *(
        "",
        " ",
        "0",
        "-1",
        "1e309",
        "NaN",
        "null",
        "true",
        "[]",
        "{}",
        "\x00",
        "a\x00b",
        "\r\nX-Injected: 1",
        "\n",
        "\t",
    ),
    *("%", "%00", "%0d%0aX: 1", "%ff%fe", "..", "../../etc/passwd", "\\", "'", '"', "a" * 5000, "🦊", "é", "\u202eabc"),
    *(
        "\ud800",
        "{0}",
        "{code.__class__}",
        "%s%n",
        "${jndi:ldap://x}",
        MARK,
        f"'\"{MARK}",
        "javascript:alert(1)",
        "x" * 43,
    ),
    *(
        "https://evil.example/cb",
        "http://localhost:1/cb#f",
        "http://a@localhost:1/",
        "http://[::1",
        "http://localhost:99999",
    ),
    *(
        "http://localhost:53682/callback",
        "http://localhost:7071/mcp",
        "//evil.example",
        "http://\x00",
        "mailto:a@b",
        "::",
    ),
    *(
        "http://LOCALHOST:53682/callback",
        "http://localhost:53682/callback?error=x",
        "http://xn--/",
        "access_as_user",
        "none",
    ),
    *("22222222-2222-4222-8222-222222222222", "eyJhbGciOiJub25lIn0.e30.", "a.b.c", "a.b.c.d.e", "authorization_code"),
    *(
        "eyJhbGciOiJIUzI1NiIsImtpZCI6IngifQ.e30.AAAA",
        "eyJhbGciOiJIUzI1NiIsImtpZCI6W119.W10.AAAA",
        "refresh_token",
        "\ufeff",
    ),
    *(
        "client_secret_basic",
        "client_secret_post",
        "private_key_jwt",
        "S256",
        "plain",
        "code token",
        "code",
        "approve",
        "deny",
    ),
]

METHODS = ["GET", "POST", "HEAD", "OPTIONS", "DELETE", "PUT", "PATCH", "TRACE", "CONNECT", "PROPFIND", "G"]

CONTENT_TYPES = [
    "application/x-www-form-urlencoded",
    "application/x-www-form-urlencoded; charset=utf-16",
    "application/json",
    "application/json; charset=x",
    "multipart/form-data; boundary=x",
    "multipart/form-data",
    "multipart/form-data; boundary=" + "x" * 300,
    "text/plain",
    "text/event-stream",
    "\xff",
    "",
]

BODIES = [
    b"",
    b"\x00",
    b"\xff\xfe\xfd",
    b"{",
    b"[" * 4000,
    b'{"a":' * 4000,
    b"=&=&;&&a",
    b"&" * 3000,
    b"%",
    b"a=%ff&grant_type=%00",
    b"--x\r\n\r\n",
    b'--x\r\nContent-Disposition: form-data; name="token"; filename="f"\r\n\r\nv\r\n--x--\r\n',
    (
        b'--x\r\nContent-Disposition: form-data; name="client_id"\r\n\r\n{client_id}\r\n'
        b'--x\r\nContent-Disposition: form-data; name="refresh_token"; filename="f"\r\n\r\nv\r\n--x--\r\n'
    ),
    b"1" * 5000,
    b'{"a": 1e400, "b": NaN, "c": 1' + b"0" * 5000 + b"}",
    b'"\\ud800"',
]

HEADERS = {
    "accept": ["*/*", "text/html", "application/json", "text/event-stream", "application/json, text/event-stream", ""],
    "authorization": [
        *(
            "Bearer {access_token}",
            "bearer {access_token}",
            "Bearer {refresh_token}",
            "Bearer",
            "Bearer ",
            "Basic",
            "Basic !",
        ),
        *(
            "Basic e2NsaWVudF9pZH06",
            "Basic OjpcZmY=",
            "Basic /////w==",
            "Bearer a.b.c",
            "\xff",
            "Bearer \xff.\xff.\xff",
        ),
    ],
    "content-encoding": ["gzip", "br", "x"],
    "content-length": ["0", "5", "99999999999999999999", "-1", "x", "\xb2"],
    "cookie": [
        *(
            "a",
            "=",
            ";;;",
            "a=b",
            "\xff=\xff",
            "__MCP_CONSENT_STATE_x=eyJ0eG4iOjF9.x",
            "MCP_CONSENT_STATE=" + "x" * 4000,
        ),
        *("{cookie}", "{cookie}x", "{cookie}; {cookie}", 'x="\\377"'),
    ],
    "host": ["localhost:7071", "evil.example", "", "localhost:x", "[::1", "LOCALHOST"],
    "last-event-id": ["1", "\xff"],
    "mcp-method": ["tools/call", "tools/list", "x", "\xff"],
    "mcp-name": ["add", "=?base64?Zm9v?=", "=?base64?!?=", "\xff"],
    "mcp-protocol-version": ["2025-11-25", "2025-06-18", "2024-11-05", "2026-07-28", "9999-99-99", "\xff", ""],
    "mcp-session-id": ["x", "\xff", "x" * 4000],
    "origin": ["http://localhost:7071", "https://evil.example", "null", "\xff", "http://["],
    "sec-fetch-site": ["cross-site", "same-origin"],
    "traceparent": ["00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "\xff", "00-x"],
    "transfer-encoding": ["chunked", "gzip"],
    "x-forwarded-for": ["203.0.113.7", "x", "\xff", "[::1]:1", ",,,"],
    "x-forwarded-host": ["localhost:7071", "evil.example", "\xff"],
    "x-http-method-override": ["DELETE"],
    "x-ms-invocation-id": ["1"],
}


REFUSED_EARLY = ("host", "origin", "x-forwarded-host", "x-ms-invocation-id", "content-length")
"""Headers for which a request is refused before anything else is looked at, if they are not right."""

NAMES = [*sorted(HEADERS), *(name for name in sorted(HEADERS) if name not in REFUSED_EARLY for _ in range(4))]


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
