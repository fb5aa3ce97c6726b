"""The application starts once, eagerly, and again after a failure, however many requests wait for it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx2

from tests.engine.functions.harness import MCP_APP, running_host
from tests.support.processes import eventually
from tests.support.programs import Program

if TYPE_CHECKING:
    from pathlib import Path

FIRST_REQUESTS = 64


async def statuses(url: str, count: int) -> list[int]:
    async with httpx2.AsyncClient(timeout=30, limits=httpx2.Limits(max_connections=count)) as client:
        answers = await asyncio.gather(*(client.get(f"{url}/echo/{number}") for number in range(count)))
    return [answer.status_code for answer in answers]


async def test_concurrent_first_requests_enter_the_lifespan_once_and_all_succeed(tmp_path: Path) -> None:
    with running_host(MCP_APP, log=tmp_path / "log", environment={"FIXTURE_START_SECONDS": "1"}) as host:
        answers = await statuses(host.url, FIRST_REQUESTS)

        assert answers == [200] * FIRST_REQUESTS
        assert host.diagnostics()["entered"] == 1


def test_start_begins_before_the_first_request(tmp_path: Path) -> None:
    diary = tmp_path / "diary"
    with running_host(MCP_APP, log=tmp_path / "log", environment={"FIXTURE_DIARY": str(diary)}):
        assert eventually(diary.exists)
        assert diary.read_text() == "started\n"


def test_early_path_answers_while_the_application_starts(tmp_path: Path) -> None:
    with running_host(MCP_APP, log=tmp_path / "log", environment={"FIXTURE_START_SECONDS": "3600"}) as host:
        assert host.get("/healthz").text == "alive"
        assert host.diagnostics()["entered"] == 1


async def test_failed_start_is_retried_by_a_later_request(tmp_path: Path) -> None:
    with running_host(MCP_APP, log=tmp_path / "log", environment={"FIXTURE_FAILURES": "2"}) as host:
        flood = await statuses(host.url, 30)
        entered = host.diagnostics()["entered"]
        recovered = await asyncio.to_thread(eventually, lambda: host.get("/echo/x").status_code == 200)

        assert 503 in flood
        assert entered <= 2  # however many ask, what is down is asked once
        assert recovered
        assert host.diagnostics()["entered"] == 3


def test_termination_leaves_the_lifespan_and_exits_0(tmp_path: Path) -> None:
    diary = tmp_path / "diary"
    environment = {"FIXTURE_DIARY": str(diary)}
    with running_host(MCP_APP, log=tmp_path / "log", environment=environment, program=Program) as host:
        assert host.get("/echo/x").status_code == 200
        assert host.stop() == 0
    assert diary.read_text() == "started\nleft\n"
