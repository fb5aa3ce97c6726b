"""The certificates are read once, however many clients there are."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

from entra_mcp import http_client as module
from entra_mcp.http_client import http_client

if TYPE_CHECKING:
    import pytest


async def test_clients_share_the_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[ssl.SSLContext] = []
    create = ssl.create_default_context

    def counted(*arguments: Any, **options: Any) -> ssl.SSLContext:  # noqa: ANN401 - those of the original
        made.append(create(*arguments, **options))
        return made[-1]

    monkeypatch.setattr(ssl, "create_default_context", counted)
    module._trusted.cache_clear()  # pyright: ignore[reportPrivateUsage]

    for _ in range(3):
        async with http_client(timeout=1.0, base_url="https://localhost"):
            pass

    assert len(made) == 1
    assert made[0].verify_mode is ssl.CERT_REQUIRED
    assert made[0].check_hostname
