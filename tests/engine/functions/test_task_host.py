"""Background tasks on the local Functions host: trigger and runner are the deployed ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx2
import pytest

from local.config import REPOSITORY
from tests.support.background.instance import OPTED_IN
from tests.support.mcp import SESSIONLESS, request, result, tool_call
from tests.support.oauth import OAuthClient
from tests.support.ports import free_ports
from tests.support.stack import FunctionsHost
from tests.support.standins import StandIns

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

APP = REPOSITORY / "tests" / "support" / "background"


@pytest.fixture
async def signed_in(
    tmp_path: Path, certificates: Path, own_account: str
) -> AsyncIterator[tuple[httpx2.AsyncClient, str]]:
    (port,) = free_ports(1)
    host = FunctionsHost(port=port, log=tmp_path / "host.log", app=APP)
    redirect_uris = [f"{host.url}/auth/callback"]
    with StandIns(folder=tmp_path / "standins", tls=certificates, redirect_uris=redirect_uris) as standins:
        host.start(
            {
                **standins.environment(),
                "MCP_BASE_URL": host.url,
                "AzureWebJobsStorage": own_account,
            }
        )
        try:
            async with httpx2.AsyncClient(base_url=host.url, timeout=60) as http:
                yield http, (await OAuthClient(http=http).sign_in())["access_token"]
        finally:
            host.stop()


async def test_task_runs_in_the_function_that_its_queue_triggers(
    signed_in: tuple[httpx2.AsyncClient, str],
) -> None:
    http, token = signed_in
    called = tool_call("only_as_task", protocol=SESSIONLESS, token=token, meta=OPTED_IN)
    created = result(await http.post("/mcp", **called))
    assert created["resultType"] == "task"
    status, done = "working", {}
    while status == "working":
        asked = request("tasks/get", {"taskId": created["taskId"]}, protocol=SESSIONLESS, token=token, meta=OPTED_IN)
        done = result(await http.post("/mcp", **asked))
        status = done["status"]
    assert (status, done["result"]["isError"]) == ("completed", False), done
    whoami = done["result"]["structuredContent"]["result"]
    assert whoami == "aaaaaaaa-0001-4000-8000-000000000001"
