"""Whose permissions a background task has, after what can happen to a sign-in while the task waits."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from azure.storage.queue.aio import QueueClient

import entra_mcp.app
from entra_mcp.app import PROBES, startup_failed
from entra_mcp.functions.lifespan import Lifespan
from entra_mcp.tasks.limits import Limits
from entra_mcp.tasks.queue import QUEUE
from tests.engine.flows.conftest import over
from tests.engine.flows.test_outage import ALWAYS, unavailable
from tests.support.background.instance import OPTED_IN
from tests.support.background.server import SERVER
from tests.support.fault_proxy import Fault, fault_proxy
from tests.support.mcp import SESSIONLESS, request, result, tool_call
from tests.support.oauth import OAuthClient
from tests.support.tasks import in_own_task

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from entra_mcp.tasks.runner import Runner

    type Control = Callable[..., Awaitable[Any]]

LONG_RUN = Limits(run=10 * 24 * 3600)
"""No token of Entra ID is good for so long, so each run asks for a new one."""


class Flow:
    """A person with a client that has opted in, and what runs their tasks."""

    def __init__(self, client: OAuthClient, queue: QueueClient, runner: Runner, token: str) -> None:
        self.client = client
        self.runner = runner
        self._queue = queue
        self._token = token

    async def start(self, tool: str, **arguments: object) -> str:
        called = tool_call(tool, arguments, protocol=SESSIONLESS, token=self._token, meta=OPTED_IN)
        return result(await self.client.http.post("/mcp", **called))["taskId"]

    async def deliver(self) -> None:
        """Runs the task of the one message that is in the queue."""
        message = await self._queue.receive_message()
        assert message is not None
        await self._queue.delete_message(message)
        await self.runner.run(message.content.encode())

    async def get(self, task_id: str, *, token: str | None = None) -> dict[str, Any]:
        asked = request(
            "tasks/get", {"taskId": task_id}, protocol=SESSIONLESS, token=token or self._token, meta=OPTED_IN
        )
        return result(await self.client.http.post("/mcp", **asked))

    async def revoke(self) -> str:
        """Ends the sign-in; returns the access token of another one of the same person."""
        sent = {"client_id": self.client.client_id, "token": self._token}
        await self.client.http.post("/revoke", data=sent)
        return (await self.client.sign_in())["access_token"]


@pytest_asyncio.fixture(loop_scope="module")
async def flow(environment: Callable[..., None], azurite: str) -> AsyncIterator[Flow]:
    environment()
    runners: list[Runner] = []
    app = partial(entra_mcp.app.running_app, SERVER, on_tasks=runners.append)
    lifespan = Lifespan(app, on_failure=startup_failed, probes=PROBES)
    async with QueueClient.from_connection_string(azurite, QUEUE) as queue, in_own_task(over(lifespan)) as http:
        await lifespan.started()
        await queue.clear_messages()
        client = OAuthClient(http=http)
        yield Flow(client, queue, runners[0], (await client.sign_in())["access_token"])
    await lifespan.aclose()


async def test_task_acts_on_behalf_of_its_caller(flow: Flow) -> None:
    task_id = await flow.start("mail_address")
    await flow.deliver()
    done = await flow.get(task_id)
    assert done["result"]["isError"] is False, done
    assert "@" in done["result"]["structuredContent"]["result"]


async def test_task_gets_a_new_token_of_entra_where_the_old_one_is_too_short(flow: Flow) -> None:
    flow.runner.parts.limits = LONG_RUN
    task_id = await flow.start("mail_address")
    await flow.deliver()
    assert (await flow.get(task_id))["result"]["isError"] is False


async def test_sign_in_that_was_revoked_ends_the_task(flow: Flow) -> None:
    task_id = await flow.start("mail_address")
    other = await flow.revoke()
    await flow.deliver()
    done = await flow.get(task_id, token=other)
    assert done["status"] == "failed"
    assert "sign-in" in done["error"]["message"]


@pytest.mark.parametrize("code", [700082, 50173, 50057], ids=["expired", "revoked", "disabled account"])
async def test_refresh_that_entra_refuses_ends_the_task(flow: Flow, entra: Control, code: int) -> None:
    flow.runner.parts.limits = LONG_RUN
    task_id = await flow.start("mail_address")
    await entra("POST", "/faults", {"code": code, "error": "invalid_grant", "grant_type": "refresh_token"})
    await flow.deliver()
    assert (await flow.get(task_id))["status"] == "failed"


async def test_task_waits_while_entra_is_out_of_reach(flow: Flow, entra: Control) -> None:
    flow.runner.parts.limits = Limits(run=LONG_RUN.run, backoff=0)
    task_id = await flow.start("mail_address")
    await entra("POST", "/faults", {"code": 90033, "status": 503, "grant_type": "refresh_token"})
    await flow.deliver()
    assert (await flow.get(task_id))["status"] == "working"
    await flow.deliver()
    assert (await flow.get(task_id))["status"] == "completed"


async def test_outages_count_from_the_last_new_checkpoint(flow: Flow, entra: Control) -> None:
    flow.runner.parts.limits = Limits(run=LONG_RUN.run, backoff=0, outages=2)
    task_id = await flow.start("fail_after_each_step", steps=3)
    for _ in range(3):
        await entra("POST", "/faults", {"code": 90033, "status": 503, "grant_type": "refresh_token"})
        await flow.deliver()
        await flow.deliver()
    await flow.deliver()
    assert (await flow.get(task_id))["result"]["structuredContent"] == {"result": 3}
    stored = await flow.runner.parts.rows.read(task_id)
    assert stored is not None
    assert stored.task.attempts == {"error": 3}, "as many retries as the tool declares, in all runs together"


@pytest.mark.parametrize("fault", [503, Fault.HANG], ids=str)
async def test_outage_while_a_client_asks_about_its_task_is_503(
    environment: Callable[..., None], azurite: str, fault: Fault | int
) -> None:
    runners: list[Runner] = []
    async with fault_proxy(azurite) as (proxy, through):
        environment(AzureWebJobsStorage=through)
        async with entra_mcp.app.running_app(SERVER, on_tasks=runners.append) as app, over(app) as http:
            token = (await OAuthClient(http=http).sign_in())["access_token"]
            about: dict[str, Any] = {"token": token, "protocol": SESSIONLESS}
            started = await http.post("/mcp", **tool_call("work", {"name": "x"}, meta=OPTED_IN, **about))
            task_id = result(started)["taskId"]
            named: dict[str, Any] = {"taskId": task_id, "inputResponses": {}}
            get, cancel, update = (
                request(f"tasks/{method}", named, meta=OPTED_IN, **about) for method in ("get", "cancel", "update")
            )
            fetch = tool_call("task_result", {"task_id": task_id}, **about)
            proxy.break_next(fault, times=ALWAYS)
            # At once: who calls is remembered for a few seconds.
            await asyncio.gather(*(unavailable(http.post("/mcp", **sent)) for sent in (get, cancel, update, fetch)))
            proxy.break_next(503, times=ALWAYS, method="PUT")
            await unavailable(http.post("/mcp", **cancel))
            proxy.fault = None
            rows = runners[0].parts.rows
            stored = await rows.read(task_id)
            assert stored is not None
            await rows.write(stored, stored.task.ended("completed", parts=2))
            for sent in (get, fetch):
                assert (await http.post("/mcp", **get)).status_code == 200, "who calls is known"
                proxy.break_next(503, times=ALWAYS)
                proxy.skip = 1
                await unavailable(http.post("/mcp", **sent))
                proxy.fault = None
