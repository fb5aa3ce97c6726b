"""Which headers are believed, and how addresses are grouped."""

from __future__ import annotations

from typing import Any

import pytest

from entra_mcp.web.forwarded import UNKNOWN, ClientAddress, network, requested_host

BEHIND = ("x-ms-invocation-id", "1")


def scope(*headers: tuple[str, str], client: tuple[str, int] | None = ("192.0.2.1", 1)) -> dict[str, Any]:
    return {"type": "http", "client": client, "headers": [(k.encode(), v.encode("latin-1")) for k, v in headers]}


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
    assert requested_host(scope(*headers)) == host


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
    assert ClientAddress(header="client-ip")(scope(*headers)) == address


def test_client_address_without_a_connection_is_unknown() -> None:
    assert ClientAddress()(scope(client=None)) == UNKNOWN


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
    assert network(address) == expected
