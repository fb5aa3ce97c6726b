"""A thousand tasks over three hosts whose workers are killed, on a table that fails now and then."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter
from contextlib import AsyncExitStack, ExitStack, suppress
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx2
import pytest
from azure.core.exceptions import ResourceExistsError
from azure.storage.queue.aio import QueueClient

from entra_mcp.storage.rows import collection_range
from entra_mcp.storage.table import Table
from entra_mcp.tasks.queue import POISON_QUEUE, QUEUE
from entra_mcp.tasks.rows import FINAL, TASKS
from local.config import REPOSITORY
from tests.support.azurite import running_azurite
from tests.support.background.instance import OPTED_IN
from tests.support.fault_proxy import fault_proxy
from tests.support.mcp import SESSIONLESS, result, tool_call
from tests.support.ports import free_ports
from tests.support.stack import FunctionsHost
from tests.support.standins import StandIns

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence
    from pathlib import Path

APP = REPOSITORY / "tests" / "support" / "background"
TABLE = "McpOAuthState"
HOSTS, PEOPLE, EACH, ATTEMPTS = 3, 50, 20, 30
BATCHES_FOR_EACH_KILL = 8
FAILING = 0.02


async def start(hosts: Iterator[httpx2.AsyncClient], token: str, name: str) -> bool:
    """Starts a task at the next host, and again at the next one while the table fails or a worker is dead.

    Returns whether a host accepted it.
    """
    called = tool_call("note", {"name": name}, protocol=SESSIONLESS, token=token, meta=OPTED_IN)
    for _ in range(ATTEMPTS):
        with suppress(httpx2.TransportError):
            response = await next(hosts).post("/mcp", **called)
            if response.status_code == 200 and "taskId" in result(response):
                return True
        await asyncio.sleep(1)
    return False


async def start_all(
    hosts: Iterator[httpx2.AsyncClient], tokens: Sequence[str], kill: Callable[[], Awaitable[None]]
) -> int:
    """Starts the tasks of all people, as many at once as there are hosts, and kills a worker in some of the batches.

    Returns how many tasks the server accepted.
    """
    accepted = 0
    batches = itertools.batched(itertools.product(tokens, range(EACH)), HOSTS, strict=False)
    for number, batch in enumerate(batches):
        starts = asyncio.gather(*(start(hosts, token, f"{token[-8:]} {each}") for token, each in batch))
        started, _ = await asyncio.gather(starts, kill() if number % BATCHES_FOR_EACH_KILL == 1 else asyncio.sleep(0))
        accepted += sum(started)
    return accepted


async def ended(table: Table, connection_string: str) -> list[dict[str, Any]]:
    """The rows of all tasks, once each of them has ended.

    A call that died with its process may leave a row and no message, of which no client knows: it is left out.
    """
    # The first one twice: a message may move between two looks.
    queues = [QueueClient.from_connection_string(connection_string, name) for name in (QUEUE, POISON_QUEUE, QUEUE)]
    async with AsyncExitStack() as stack:
        for queue in queues:
            await stack.enter_async_context(queue)
            with suppress(ResourceExistsError):  # the host creates one of them when it needs it
                await queue.create_queue()
        while True:
            messages = [(await queue.get_queue_properties()).approximate_message_count for queue in queues]
            pages = table.query(collection_range(TASKS), select=("T", "R"))
            found = [dict(row) async for page in pages for row in page]
            if not any(messages):
                found = [row for row in found if row["T"] in FINAL or row["R"]]
            if all(row["T"] in FINAL for row in found):
                return found
            await asyncio.sleep(1)


@pytest.mark.long
@pytest.mark.timeout(2700)
async def test_thousand_tasks_survive_killed_workers(
    tmp_path: Path, certificates: Path, record_property: Callable[[str, object], None]
) -> None:
    chance, ports = random.Random(7), free_ports(HOSTS)  # noqa: S311 - the same deaths in each run
    hosts = [FunctionsHost(port=port, log=tmp_path / f"host-{port}.log", app=APP) for port in ports]
    record = tmp_path / "record"
    with (
        running_azurite(tmp_path / "azurite") as azurite,
        StandIns(folder=tmp_path / "standins", tls=certificates) as standins,
        ExitStack() as stack,
    ):
        async with (
            fault_proxy(azurite.connection_string) as (proxy, through),
            Table.from_connection_string(azurite.connection_string, name=TABLE) as table,
        ):
            for host in hosts:
                await asyncio.to_thread(
                    host.start,
                    {
                        **standins.environment(),
                        "AUTH_MODE": "verify",
                        "MCP_BASE_URL": host.url,
                        "AzureWebJobsStorage": through,
                        "RECORD": str(record),
                    },
                )
                stack.callback(host.stop)
            tokens = [standins.token(oid=str(uuid4())) for _ in range(PEOPLE)]
            proxy.failing = FAILING
            clients = [httpx2.AsyncClient(base_url=host.url, timeout=60) for host in hosts]

            async def kill() -> None:
                await asyncio.sleep(chance.random() / 10)  # in the middle of the calls of this batch
                for worker in chance.choice(hosts).workers:
                    worker.kill()

            accepted = await start_all(itertools.cycle(clients), tokens, kill)
            found = await ended(table, azurite.connection_string)
            for client in clients:
                await client.aclose()
        statuses, runs = Counter(row["T"] for row in found), sum(row["R"] for row in found)
    noted = Counter(record.read_text().splitlines())
    record_property("tasks", f"{accepted} accepted, {statuses}, {runs} runs, at most {max(noted.values())} of one task")
    # What was accepted is there, and beside it what was written down before a client heard of an error.
    assert len(found) >= accepted >= PEOPLE * EACH * 0.9
    assert set(statuses) <= {"completed", "failed", "cancelled"}
    assert statuses["completed"] >= accepted * 0.99
    # Two tasks have one name where a call was made again whose first answer was lost.
    assert len(noted) >= accepted
    assert sum(noted.values()) >= statuses["completed"]
    # Runs died with their workers, and others followed them.
    assert runs > len(found)
    assert max(noted.values()) > 1
    assert proxy.faults > 0
