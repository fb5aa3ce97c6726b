"""Health endpoints: what they say, what they keep to themselves, and how seldom they ask."""

from __future__ import annotations

import asyncio
import logging

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from entra_mcp.errors import SettingFault, SettingsError, StorageError, VaultError
from entra_mcp.web.health import Readiness
from entra_mcp.web.startup import alive, startup_failed


class Component:
    """A dependency that answers, fails, or hangs."""

    def __init__(self, error: Exception | None = None, *, hangs: bool = False) -> None:
        self.error = error
        self.hangs = hangs
        self.asked = 0

    async def check(self) -> None:
        self.asked += 1
        if self.hangs:
            await asyncio.sleep(60)
        if self.error is not None:
            raise self.error


def client(**components: Component) -> httpx2.AsyncClient:
    app = Starlette(
        routes=[
            Route("/readyz", Readiness({name: component.check for name, component in components.items()}).answer),
        ]
    )
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://test")


async def test_readyz_all_answer() -> None:
    async with client(table_storage=Component(), key_vault=Component()) as http:
        response = await http.get("/readyz")
    assert (response.status_code, response.json()) == (200, {"status": "ready"})
    assert response.headers["cache-control"] == "no-store"


async def test_readyz_names_what_fails_and_logs_why(caplog: pytest.LogCaptureFixture) -> None:
    failing = Component(VaultError("vault-17.contoso.internal refused"))
    with caplog.at_level(logging.WARNING):
        async with client(table_storage=Component(), key_vault=failing) as http:
            response = await http.get("/readyz")
    assert (response.status_code, response.json()["unavailable"]) == (503, ["key_vault"])
    assert response.headers["retry-after"] == "5"
    assert "vault-17" not in response.text
    assert "vault-17" in caplog.text


async def test_readyz_asks_once_for_many_at_a_time() -> None:
    component = Component()
    async with client(table_storage=component) as http:
        responses = await asyncio.gather(*(http.get("/readyz") for _ in range(50)))
    assert {response.status_code for response in responses} == {200}
    assert component.asked == 1


async def test_readyz_of_a_component_that_hangs_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("entra_mcp.web.health.CHECK_SECONDS", 0.05)
    async with client(table_storage=Component(hangs=True), key_vault=Component()) as http:
        response = await http.get("/readyz")
    assert (response.status_code, response.json()["unavailable"]) == (503, ["table_storage"])


async def test_readyz_asks_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("entra_mcp.web.health.REMEMBERED_SECONDS", 0.0)
    component = Component(StorageError("gone"))
    async with client(table_storage=component) as http:
        assert (await http.get("/readyz")).status_code == 503
        component.error = None
        assert (await http.get("/readyz")).status_code == 200


@pytest.mark.parametrize(
    ("error", "component"),
    [
        (VaultError("secret 'jwt-signing-key' does not exist"), "key_vault"),
        (StorageError("table 'x' does not exist"), "table_storage"),
        (SettingsError([SettingFault("ENTRA_TENANT_ID", "is not set")]), "settings"),
        (RuntimeError("line 17"), "server"),
    ],
)
async def test_failed_start_answers_503_without_details(error: Exception, component: str) -> None:
    transport = httpx2.ASGITransport(app=startup_failed(error))
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as http:
        ready, other = await http.get("/readyz"), await http.post("/mcp", json={})
    assert (ready.status_code, ready.json()["unavailable"]) == (503, [component])
    assert (other.status_code, other.json()["error"]) == (503, "temporarily_unavailable")
    for response in (ready, other):
        assert response.headers["retry-after"]
        assert response.headers["cache-control"] == "no-store"
        assert str(error).split(":")[-1] not in response.text


async def test_alive_is_an_application_of_its_own() -> None:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=alive), base_url="http://test") as http:
        assert (await http.get("/healthz")).json() == {"status": "alive"}
