"""One form of requests and answers: behind the Functions host, without it, in every process, from every client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.datastructures import Headers

from entra_mcp.web.paths import MCP

if TYPE_CHECKING:
    from starlette.datastructures import MutableHeaders
    from starlette.types import Scope

AUTHORIZATION = "authorization"
ANYTHING = (b"accept", b"*/*")


def normalized(scope: Scope) -> Scope:
    """Returns the scope of an HTTP request as the rest of the server sees it.

    - HEAD is GET (RFC 9110 section 9.3.2).
    - `/mcp/` is `/mcp`, and its metadata likewise.
    - A call without `Accept` accepts anything (RFC 9110 section 12.5.1).
    - Several `Authorization` headers are one, as Kestrel joins them: no credentials that anybody accepts.
    """
    inner = dict(scope)
    headers = Headers(scope=scope)
    if scope["method"] == "HEAD":
        inner["method"] = "GET"
    if scope["path"].endswith(f"{MCP}/"):
        inner["path"] = scope["path"].removesuffix("/")
        inner["raw_path"] = inner["path"].encode()
    if inner["path"] == MCP and "accept" not in headers:
        inner["headers"] = [*scope["headers"], ANYTHING]
    credentials = headers.getlist(AUTHORIZATION)
    if len(credentials) > 1:
        others = [pair for pair in inner["headers"] if pair[0].lower() != AUTHORIZATION.encode()]
        inner["headers"] = [*others, (AUTHORIZATION.encode(), ", ".join(credentials).encode("latin-1"))]
    return inner


def normalize_answer(headers: MutableHeaders) -> None:
    """Lets `Vary` name each header once, and `Allow` its methods in one order."""
    if "vary" in headers:
        headers["Vary"] = ", ".join(dict.fromkeys(_values(headers, "vary")))
    if "allow" in headers:
        headers["Allow"] = ", ".join(sorted(_values(headers, "allow")))


def _values(headers: MutableHeaders, name: str) -> list[str]:
    return [value.strip() for line in headers.getlist(name) for value in line.split(",")]
