"""Background tasks with their real parts: a table and a queue of Azurite, instances of a server, and its runner."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, override
from uuid import uuid4

import httpx2
from azure.storage.queue.aio import QueueClient
from fastmcp.server.auth.providers.jwt import StaticTokenVerifier
from fastmcp.utilities.asgi_transport import StreamingASGITransport

from entra_mcp.server.components import task_tools
from entra_mcp.storage.encryption import RowCipher
from entra_mcp.storage.owners import OwnerMarks
from entra_mcp.storage.table import Table
from entra_mcp.tasks.callers import Callers
from entra_mcp.tasks.limits import Limits
from entra_mcp.tasks.parts import TaskParts, add_tasks
from entra_mcp.tasks.queue import TaskQueue
from entra_mcp.tasks.rows import TaskRows
from tests.support.background.server import SERVER
from tests.support.clock import Clock
from tests.support.instances import ALICE, PEOPLE, RING, served
from tests.support.mcp import SESSIONLESS, request, result, tool_call

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from entra_mcp.settings import Settings
    from entra_mcp.tasks.rows import Task
    from entra_mcp.tasks.runner import Runner


EXTENSION = "io.modelcontextprotocol/tasks"
CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"
OPTED_IN: dict[str, Any] = {CAPABILITIES: {"extensions": {EXTENSION: {}}, "elicitation": {"form": {}}}}

FAST = Limits(heartbeat=0.1, apart=0.0)
"""The next run of a task that has died begins at once, where a test is not about that."""


class DelayedQueue(TaskQueue):
    """Keeps messages with a delay until the virtual clock comes to them; Azurite's would be a real one."""

    def __init__(self, connect: Callable[[type[QueueClient]], QueueClient]) -> None:
        super().__init__(connect)
        self.clock = Clock(1_790_000_000.0)
        self.waiting: list[tuple[float, bytes]] = []

    @override
    async def send(self, message: bytes, *, delay: float = 0.0) -> None:
        if delay > 0:
            self.waiting.append((self.clock() + delay, message))
        else:
            await super().send(message)

    async def release(self) -> None:
        """Sends those whose time has come."""
        due = [each for each in self.waiting if each[0] <= self.clock()]
        self.waiting = [each for each in self.waiting if each not in due]
        for _, message in due:
            await super().send(message)


@dataclass(kw_only=True)
class Background:
    """One instance of the server, and what it shares with others."""

    http: httpx2.AsyncClient
    runner: Runner
    rows: TaskRows
    table: Table
    queue: QueueClient
    delayed: DelayedQueue
    clock: Clock
    people: dict[str, dict[str, Any]]

    async def start(self, tool: str, *, token: str = ALICE, **arguments: object) -> dict[str, Any]:
        """Calls a tool as a client that has opted in."""
        called = tool_call(tool, arguments, protocol=SESSIONLESS, token=token, meta=OPTED_IN)
        return result(await self.http.post("/mcp", **called))

    async def ask(
        self, method: str, task_id: str, *, token: str = ALICE, meta: Mapping[str, Any] = OPTED_IN, **params: object
    ) -> httpx2.Response:
        """Sends a request about a task."""
        sent = request(method, {"taskId": task_id, **params}, protocol=SESSIONLESS, token=token, meta=dict(meta))
        return await self.http.post("/mcp", **sent)

    async def get(self, task_id: str) -> dict[str, Any]:
        return result(await self.ask("tasks/get", task_id))

    async def messages(self) -> list[bytes]:
        """Takes what is visible in the queue out of it."""
        await self.delayed.release()
        found: list[bytes] = []
        async for message in self.queue.receive_messages():
            found.append(message.content.encode())
            await self.queue.delete_message(message)
        return found

    async def deliver(self) -> int:
        """Runs what is visible in the queue, all at once; returns how many messages that were."""
        messages = await self.messages()
        await asyncio.gather(*(self.runner.run(message) for message in messages))
        return len(messages)

    async def task(self, task_id: str) -> Task:
        found = await self.rows.read(task_id)
        assert found is not None
        return found.task


@asynccontextmanager
async def background(
    settings: Settings, azurite: str, *, limits: Limits = FAST, name: str = "", proxied: str | None = None
) -> AsyncGenerator[Background]:
    """An instance with a table and a queue of that name, new ones unless it is given; the table may be proxied."""
    name = name or f"t{uuid4().hex}"
    cipher, people = RowCipher(RING), {**PEOPLE}
    auth = StaticTokenVerifier(people, required_scopes=["access_as_user"])
    async with (
        Table.from_connection_string(proxied or azurite, name=name) as table,
        DelayedQueue.from_connection_string(azurite, name=name) as delayed,
        QueueClient.from_connection_string(azurite, name) as queue,
        served(settings, auth=auth, definition=SERVER, tasks=False) as server,
    ):
        await table.create()
        await delayed.create()
        clock = delayed.clock
        rows, callers = TaskRows(table=table, cipher=cipher, marks=OwnerMarks(RING), clock=clock), Callers(auth)
        parts = TaskParts(rows=rows, queue=delayed, callers=callers, limits=limits)
        runner = add_tasks(server, parts, tools=await task_tools(server))
        app = server.http_app(path="/mcp", stateless_http=True)
        transport = StreamingASGITransport(app)
        async with app.lifespan(app), httpx2.AsyncClient(transport=transport, base_url=settings.base_url) as http:
            yield Background(
                http=http,
                runner=runner,
                rows=rows,
                table=table,
                queue=queue,
                delayed=delayed,
                clock=clock,
                people=people,
            )
