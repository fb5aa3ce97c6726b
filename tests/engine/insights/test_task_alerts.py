"""The alerts about what fails or does not run find it, and find nothing in a recording of what ran."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx2
from psutil import CONN_LISTEN as LISTEN

from local.config import REPOSITORY
from tests.engine.insights.queries import Account, alerts
from tests.support.application_insights import Recording, recording
from tests.support.background.instance import OPTED_IN
from tests.support.mcp import SESSIONLESS, request, result, tool_call
from tests.support.ports import free_ports
from tests.support.stack import FunctionsHost
from tests.support.standins import StandIns

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

APP = REPOSITORY / "tests" / "support" / "failing"
TOOLS = ("moment", "large")
"""What is called as a task; the second one fails."""
LATER = ("ago(15m)", "ago(2h)"), "now(1h)"
"""What counts as long ago in the alerts, and what is so of everything."""


class Unrun(Recording):
    """A recording without the requests of one function."""

    def __init__(self, whole: Recording, function: str) -> None:
        super().__init__()
        self.envelopes = [each for each in whole.envelopes if each["data"]["baseData"].get("name") != function]


@asynccontextmanager
async def failing_host(
    tmp_path: Path, certificates: Path, own_account: str
) -> AsyncGenerator[tuple[FunctionsHost, Recording, httpx2.AsyncClient, str]]:
    (port,) = free_ports(1)
    host = FunctionsHost(port=port, log=tmp_path / "host.log", app=APP)
    async with (
        StandIns(folder=tmp_path / "standins", tls=certificates) as standins,
        recording(certificates) as (made, settings),
    ):
        own = {"AUTH_MODE": "verify", "MCP_BASE_URL": host.url, "AzureWebJobsStorage": own_account}
        await asyncio.to_thread(host.start, {**standins.environment(), **settings, **own})
        try:
            async with httpx2.AsyncClient(base_url=host.url, timeout=30) as http:
                yield host, made, http, standins.token()
        finally:
            await asyncio.to_thread(host.stop)


async def run_task(http: httpx2.AsyncClient, token: str, tool: str = TOOLS[0], **arguments: object) -> None:
    called = tool_call(tool, arguments, protocol=SESSIONLESS, token=token, meta=OPTED_IN)
    task_id = result(await http.post("/mcp", **called))["taskId"]
    asked = request("tasks/get", {"taskId": task_id}, protocol=SESSIONLESS, token=token, meta=OPTED_IN)
    while result(await http.post("/mcp", **asked))["status"] == "working":  # noqa: ASYNC110 - it is asked for
        await asyncio.sleep(0.2)


async def without_an_invocation(host: FunctionsHost, invented: str) -> None:
    """Sends the worker a request as hosts up to 4.1037 forward it when its client names an invocation."""
    (port,) = {
        each.laddr.port for worker in host.workers for each in worker.net_connections("tcp") if each.status == LISTEN
    }
    async with httpx2.AsyncClient(timeout=30) as http:
        answer = await http.get(f"http://127.0.0.1:{port}/", headers={"x-ms-invocation-id": invented})
    assert answer.status_code == 503


def found(recorded: Recording, alert: str, *, later: bool = False) -> list[dict[str, Any]]:
    query = alerts()[f"alert {alert}"]
    for moment in LATER[0] if later else ():
        query = query.replace(moment, LATER[1])
    return Account(recorded).ask(query)


async def test_alerts_find_what_fails_and_what_was_not_run(
    tmp_path: Path, certificates: Path, own_account: str
) -> None:
    """Beside what a stranger does: no line of theirs hides what fails in their own trace, nor the next request's."""
    trace = {"traceparent": f"00-{'1' * 32}-{'2' * 16}-01"}
    async with failing_host(tmp_path, certificates, own_account) as (host, made, http, token):
        await run_task(http, token)
        await run_task(http, token, TOOLS[1], size=9 * 2**20)
        assert (await http.post("/mcp", headers=trace)).status_code == 401
        for path, status in {"/broken": 500, "/away": 503}.items():
            await without_an_invocation(host, path)
            assert (await http.get(path, headers=trace)).status_code == status
        assert (await http.post("/admin/functions/purge", json={})).status_code == 202
        await made.until(lambda each: {row["name"] for row in each.requests} >= {"run_task", "purge"})
        await asyncio.sleep(1)  # for the sending of the application

    assert sum(" did not come in time." in row["message"] for row in made.traces) == 2
    rows = {alert: found(made, alert) for alert in ("server-errors", "unavailable", "purge-failed", "tasks-failed")}
    assert {alert: len(each) for alert, each in rows.items()} == dict.fromkeys(rows, 1)

    assert found(made, "tasks-wait", later=False) == [], "they were queued just now"
    assert found(made, "tasks-wait", later=True) == [], "they were run"
    waiting = found(Unrun(made, "run_task"), "tasks-wait", later=True)
    assert {row["message"] for row in waiting} == {f"A background task of {name} was queued." for name in TOOLS}
    assert found(made, "nothing-runs", later=False) == [], "the timer ran just now"
    assert len(found(made, "nothing-runs", later=True)) == 1
    assert found(Unrun(made, "purge"), "nothing-runs", later=True) == [], "a new server has no timer to miss"
