"""What goes wrong in a function, an application or a client ends soon, discloses nothing, and leaves nothing behind."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx2
import psutil
import pytest

from local.check.report import CheckFailedError
from local.check.run import check_log
from local.host.log import DROPPED, AppLog
from local.host.messages import Logged
from tests.engine.functions.harness import MCP_APP, running_host
from tests.support.mcp import tool_call
from tests.support.processes import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tests.engine.functions.harness import RunningHost

REQUESTS = 2000
CONCURRENCY = 32


@pytest.mark.parametrize("path", ["/openapi.json", "/docs", "/redoc", "/docs/oauth2-redirect"])
def test_paths_of_other_web_extensions_answer_404(host: RunningHost, path: str) -> None:
    assert host.get(path).status_code == 404
    assert host.get("/echo/still-here").status_code == 200


def test_failed_invocation_answers_without_detail(host: RunningHost) -> None:
    response = host.get("/broken/raise")

    assert response.status_code == 502
    assert response.json() == {"error": "The function failed."}
    assert eventually(lambda: host.diagnostics()["open"] == 1)  # this very question


def test_failed_application_answers_without_detail(host: RunningHost) -> None:
    response = host.get("/fail")

    assert response.status_code == 500
    assert "secret" not in response.text


def test_application_that_fails_in_mid_answer_cuts_the_connection(host: RunningHost) -> None:
    with pytest.raises(httpx2.RemoteProtocolError), httpx2.stream("GET", f"{host.url}/fail-late") as response:
        response.read()


def test_line_after_the_answer_is_dropped_and_counted_and_comes_again_with_the_next_request(host: RunningHost) -> None:
    host.dropped_lines += 1

    def dropped() -> int:
        return host.get("/admin/host/status").json()["droppedLogLines"]

    before = dropped()
    host.get("/late-line")
    assert eventually(lambda: dropped() == before + 1)
    host.get("/echo/x")

    def late_lines() -> list[bool]:
        lines = [line for line in host.log.read_text().splitlines() if "a late line" in line]
        return [line.endswith(DROPPED) for line in lines]

    assert eventually(lambda: late_lines() == [True, False]), late_lines()


def test_kept_line_is_shown_once_and_a_later_one_of_the_same_text_again(capsys: pytest.CaptureFixture[str]) -> None:
    log = AppLog()

    for moment, invocation in ((1.0, None), (1.0, "1"), (2.0, "1"), (3.0, "1")):
        line = Logged(invocation=invocation, time=moment, level="WARNING", logger="app", text="The vault is away.")
        log.add(line, running=invocation is not None)

    assert capsys.readouterr().err.count("The vault is away.") == 3
    assert log.dropped == 0


def test_check_fails_over_a_dropped_line(tmp_path: Path) -> None:
    with running_host(MCP_APP, log=tmp_path / "log", dropped_lines=1) as host:
        asyncio.run(check_log(host.url))
        host.get("/late-line")
        assert eventually(lambda: DROPPED in host.log.read_text())
        with pytest.raises(CheckFailedError, match=r"log: 1 line\(s\)"):
            asyncio.run(check_log(host.url))


@pytest.mark.long
async def test_many_requests_leave_no_entry_and_no_memory_behind(host: RunningHost) -> None:
    worker = psutil.Process(host.diagnostics()["pid"])
    gate = asyncio.Semaphore(CONCURRENCY)

    async with httpx2.AsyncClient(limits=httpx2.Limits(max_connections=CONCURRENCY), timeout=30) as client:

        async def one(number: int) -> int:
            async with gate:
                return (await client.get(f"{host.url}/echo/{number}")).status_code

        async def many(count: int) -> set[int]:
            return set(await asyncio.gather(*(one(number) for number in range(count))))

        await many(300)
        before = worker.memory_info().rss
        assert await many(REQUESTS) == {200}
        grown = worker.memory_info().rss - before

    assert host.diagnostics()["open"] == 1  # this very question
    assert grown < 3 * 1024 * 1024  # the 2 KB a request that the coordinator alone would keep are 4 MB


@pytest.mark.parametrize("protocol", ["2025-06-18", "2026-07-28"])
@pytest.mark.parametrize(
    ("tool", "arguments"), [("count_slowly", {"steps": 100, "pause": 0.2}), ("sleep_quietly", {"seconds": 20})]
)
async def test_client_that_goes_away_cancels_its_tool(
    tmp_path: Path, host: RunningHost, tool: str, arguments: dict[str, Any], protocol: str
) -> None:
    seen = len(host.diagnostics()["tools"])
    call = tool_call(tool, arguments, protocol=protocol, meta={"progressToken": "progress"})

    async def ask() -> None:
        async with httpx2.AsyncClient(timeout=30) as client:
            await client.post(f"{host.url}/mcp", **call)

    asking = asyncio.create_task(ask())
    assert await asyncio.to_thread(eventually, lambda: host.diagnostics()["tools"][seen:] == ["began"])
    asking.cancel()
    await asyncio.wait((asking,))

    assert await asyncio.to_thread(eventually, lambda: host.diagnostics()["tools"][seen:] == ["began", "cancelled"])


def test_worker_that_dies_is_started_again_and_requests_wait_for_it(tmp_path: Path) -> None:
    with running_host(MCP_APP, log=tmp_path / "log") as host:
        first = host.diagnostics()["pid"]
        died = host.get("/broken/exit")

        assert died.status_code in {500, 502}
        # A request that meets the dying worker itself fails with it.
        assert eventually(lambda: "The worker process ended" in host.log.read_text())
        assert host.diagnostics()["pid"] != first
