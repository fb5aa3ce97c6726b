"""The pages and health answers of the composed application."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from entra_mcp.app import purge_expired

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx2


async def test_home_page_gives_the_address(http: httpx2.AsyncClient) -> None:
    response = await http.get("/")
    assert response.status_code == 200
    assert "http://localhost:7071/mcp" in response.text


async def test_health_answers(http: httpx2.AsyncClient) -> None:
    assert (await http.get("/healthz")).json() == {"status": "alive"}
    ready = await http.get("/readyz")
    assert (ready.status_code, ready.json()) == (200, {"status": "ready"})


@pytest.mark.parametrize("path", ["/openapi.json", "/docs", "/redoc", "/token/", "/register/", "/nothing"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_unknown_path_is_not_found_and_leads_nowhere(http: httpx2.AsyncClient, method: str, path: str) -> None:
    response = await http.request(method, path)
    assert response.status_code == 404
    assert "location" not in response.headers


@pytest.mark.parametrize("method", ["POST", "DELETE", "OPTIONS"])
async def test_health_is_only_read(http: httpx2.AsyncClient, method: str) -> None:
    assert (await http.request(method, "/healthz")).status_code == 405


@pytest.mark.usefixtures("http")
async def test_purge_runs_with_the_same_settings(
    environment: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        await purge_expired()
    assert "Purge: 0 rows deleted" in caplog.text
