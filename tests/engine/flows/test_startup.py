"""Start-up fails closed, says why in the log, and is tried again by a later request."""

from __future__ import annotations

import asyncio
import gc
import logging
from typing import TYPE_CHECKING

import pytest

from entra_mcp.errors import SettingsError, StorageError, VaultError
from tests.engine.flows.conftest import in_a_worker, over
from tests.support.app.server import running_app
from tests.support.vault import vault_client

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.standins import StandIns


USELESS = (
    ("jwt-signing-key", "too short"),
    ("jwt-signing-key", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
    ("jwt-signing-key", ""),
    ("entra-client-secret", "x"),
    ("entra-client-secret", "@Microsoft.KeyVault(SecretUri=x)"),
)
"""Secrets by their name, each of which a start refuses."""
NOWHERE = "AccountName=a;AccountKey=a2V5;TableEndpoint=http://127.0.0.1:9/a"


async def test_faulty_settings_are_named_all_at_once(environment: Callable[..., None]) -> None:
    environment(ENTRA_CLIENT_ID="x", KEY_VAULT_URL="x", MCP_BASE_URL="http://contoso.com")
    with pytest.raises(SettingsError) as caught:
        async with running_app():
            pytest.fail("the server started")
    assert {fault.setting for fault in caught.value.faults} == {"ENTRA_CLIENT_ID", "KEY_VAULT_URL", "MCP_BASE_URL"}


async def test_garbage_is_looked_for_after_a_start_that_failed(environment: Callable[..., None]) -> None:
    environment(ENTRA_CLIENT_ID="x")
    before = gc.get_freeze_count()
    gc.disable()
    try:
        with pytest.raises(SettingsError):
            async with running_app():
                pytest.fail("the server started")
        assert gc.isenabled()
        assert gc.get_freeze_count() <= before
    finally:
        gc.enable()


async def test_start_leaves_alone_what_looks_for_garbage_meanwhile(environment: Callable[..., None]) -> None:
    environment()
    before = gc.get_freeze_count()
    async with running_app():
        assert gc.isenabled()
        assert gc.get_freeze_count() <= before


async def test_unreachable_vault_is_named(environment: Callable[..., None]) -> None:
    environment(KEY_VAULT_URL="https://127.0.0.1:9")
    with pytest.raises(VaultError, match=r"jwt-signing-key|entra-client-secret"):
        async with running_app():
            pytest.fail("the server started")


async def test_missing_table_is_named_by_readiness(
    environment: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    environment(MCP_CREATE_TABLE="false")
    with caplog.at_level(logging.WARNING):
        async with running_app() as app, over(app) as http:
            ready = await http.get("/readyz")
    assert (ready.status_code, ready.json()["unavailable"]) == (503, ["table_storage"])
    assert "does not exist" in caplog.text


async def test_storage_that_does_not_answer_is_no_reason_not_to_start(
    environment: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    environment(AzureWebJobsStorage=NOWHERE, MCP_CREATE_TABLE="false")
    with caplog.at_level(logging.WARNING):
        async with running_app():
            pass
    (warning,) = [each for each in caplog.records if each.name == "entra_mcp.app"]
    assert "Table Storage does not answer yet" in warning.getMessage()


async def test_unreachable_storage_with_create_table_is_an_error(environment: Callable[..., None]) -> None:
    environment(AzureWebJobsStorage=NOWHERE)
    with pytest.raises(StorageError):
        async with running_app():
            pytest.fail("the server started")


async def test_useless_secret_in_the_vault_is_named_without_its_value(
    environment: Callable[..., None], own_standins: StandIns
) -> None:
    environment(**own_standins.environment())
    for name, value in USELESS:
        async with vault_client(own_standins) as vault:
            good = (await vault.get_secret(name)).value
            await vault.set_secret(name, value)
            with pytest.raises(VaultError, match=name) as caught:
                async with running_app():
                    pytest.fail(f"the server started with {value!r}")
            assert not value or value not in str(caught.value)
            await vault.set_secret(name, good or "")


async def test_start_is_tried_again_when_the_vault_is_back(
    environment: Callable[..., None], own_standins: StandIns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("entra_mcp.functions.lifespan.MAX_PAUSE_SECONDS", 0.1)
    environment(**own_standins.environment())
    await asyncio.to_thread(own_standins.vault.stop)
    async with in_a_worker() as lifespan, over(lifespan) as http:
        assert (await http.get("/healthz")).status_code == 200
        down = await http.post("/mcp", json={})
        assert (down.status_code, down.json()["error"]) == (503, "temporarily_unavailable")
        assert (await http.get("/readyz")).json()["unavailable"] == ["key_vault"]
        await asyncio.to_thread(own_standins.vault.start)
        await asyncio.sleep(0.2)
        assert (await http.post("/mcp", json={})).status_code == 401
        assert (await http.get("/readyz")).status_code == 200
