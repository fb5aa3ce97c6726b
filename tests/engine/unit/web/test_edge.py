"""Which headers are believed, and how addresses are grouped."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from entra_mcp.request import REQUEST, UNKNOWN, RequestScope
from entra_mcp.web.edge import Edge

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

BEHIND = ("x-ms-invocation-id", "1")


def request(*headers: tuple[str, str], client: tuple[str, int] | None = ("192.0.2.1", 1)) -> RequestScope:
    """What is known of a request with these headers behind the edge."""
    seen: list[RequestScope | None] = []

    async def application(_scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append(REQUEST.get())

    async def nothing(*_: Any) -> Any:  # noqa: ANN401 - neither the body is read nor an answer sent
        raise AssertionError

    sent = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    scope = {"type": "http", "method": "GET", "path": "/", "client": client, "headers": sent}
    asyncio.run(Edge(application, https=True, address_header="client-ip")(scope, nothing, nothing))
    assert seen[0] is not None
    return seen[0]


@pytest.mark.parametrize(
    ("headers", "host"),
    [
        ([("host", "Contoso.com:8080")], "contoso.com"),
        ([("host", "contoso.com.")], "contoso.com"),
        ([("host", "[::1]:7071")], "::1"),
        ([("host", "a"), ("host", "b")], None),
        ([], None),
        ([("host", "a@b")], None),
        ([("host", "a b")], None),
        ([("host", "a/b")], None),
        ([("host", "a:port")], None),
        ([("host", "\xe4.com")], None),
        ([("host", "worker"), ("x-forwarded-host", "contoso.com")], "worker"),
        ([BEHIND, ("host", "worker"), ("x-forwarded-host", "contoso.com")], "contoso.com"),
        ([BEHIND, ("host", "worker"), ("x-forwarded-host", "forged, contoso.com")], "contoso.com"),
        ([BEHIND, ("host", "contoso.com")], "contoso.com"),
        ([BEHIND, ("host", "worker"), ("x-forwarded-host", "a@b")], None),
    ],
)
def test_requested_host(headers: list[tuple[str, str]], host: str | None) -> None:
    assert request(*headers).host == host


@pytest.mark.parametrize(
    ("headers", "address"),
    [
        ([], "192.0.2.1"),
        ([("x-forwarded-for", "203.0.113.9"), ("client-ip", "203.0.113.9")], "192.0.2.1"),
        ([BEHIND], UNKNOWN),
        ([BEHIND, ("x-forwarded-for", "203.0.113.9, 198.51.100.7")], "198.51.100.7"),
        ([BEHIND, ("x-forwarded-for", "203.0.113.9"), ("x-forwarded-for", "198.51.100.7")], "198.51.100.7"),
        ([BEHIND, ("x-forwarded-for", "198.51.100.7"), ("client-ip", "203.0.113.9:4711")], "203.0.113.9"),
        ([BEHIND, ("x-forwarded-for", "198.51.100.7"), ("client-ip", "[2001:db8::1]:4711")], "2001:db8::1"),
        ([BEHIND, ("x-forwarded-for", "198.51.100.7"), ("client-ip", "<script>")], UNKNOWN),
        ([BEHIND, ("x-forwarded-for", "198.51.100.7"), ("client-ip", "")], "198.51.100.7"),
    ],
)
def test_client_address(headers: list[tuple[str, str]], address: str) -> None:
    assert request(*headers).address == address


def test_client_address_without_a_connection_is_unknown() -> None:
    assert request(client=None).address == UNKNOWN


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("unknown", UNKNOWN),
    ],
)
def test_network(address: str, expected: str) -> None:
    assert RequestScope(correlation_id="", address=address).network == expected
