"""The certificates are read once, however many clients there are, and no client keeps anybody's cookies."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from entra_mcp import http_client as module
from entra_mcp.http_client import http_client
from tests.support.serving import serving

if TYPE_CHECKING:
    from starlette.requests import Request


async def test_clients_share_the_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[ssl.SSLContext] = []
    create = ssl.create_default_context

    def counted(*arguments: Any, **options: Any) -> ssl.SSLContext:  # noqa: ANN401 - those of the original
        made.append(create(*arguments, **options))
        return made[-1]

    monkeypatch.setattr(ssl, "create_default_context", counted)
    module._trusted.cache_clear()  # pyright: ignore[reportPrivateUsage] - it is read once in a process

    for _ in range(3):
        async with http_client(timeout=1.0, base_url="https://localhost"):
            pass

    assert len(made) == 1
    assert made[0].verify_mode is ssl.CERT_REQUIRED
    assert made[0].check_hostname


@pytest.mark.parametrize(
    "attributes",
    ["", "; Path=/; HttpOnly", "; Max-Age=3600; SameSite=Lax"],
    ids=["bare", "httponly", "lasting"],
)
async def test_cookie_of_one_request_goes_with_no_other(attributes: str) -> None:
    seen: list[str | None] = []

    async def endpoint(request: Request) -> PlainTextResponse:
        seen.append(request.headers.get("cookie"))
        cookie = f"session=of-{request.headers['authorization']}{attributes}"
        return PlainTextResponse("", headers={"Set-Cookie": cookie})

    async with (
        serving(Starlette(routes=[Route("/me", endpoint)])) as port,
        http_client(timeout=5.0, base_url=f"http://127.0.0.1:{port}") as client,
    ):
        for person in ("alice", "bob", "alice"):
            await client.get("/me", headers={"Authorization": person})
        assert not client.cookies
        await client.get("/me", headers={"Authorization": "alice", "Cookie": "own=1"})
    assert seen == [None, None, None, "own=1"]


def test_clients_are_made_in_one_place() -> None:
    """So that the next one keeps no cookies either."""
    source = Path(module.__file__).parents[1]
    makers = [path.name for path in source.rglob("*.py") if "AsyncClient(" in path.read_text(encoding="utf-8")]
    assert makers == ["http_client.py"]
