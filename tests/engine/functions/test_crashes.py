"""A worker that is killed again and again: requests are answered all the same, and its starts are slowed down."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import pytest

from local.host import messages, state
from local.host.messages import Function, Loaded
from local.host.server import Front
from local.host.settings_files import HostConfig
from local.host.state import AppState
from tests.support.processes import PATIENCE

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

TIMER = {"type": "timerTrigger", "name": "timer", "schedule": "0 0 0 1 1 *"}
INDEXED = messages.encode(Loaded(port=None, functions=[Function(name="purge", id="1", trigger=TIMER)])).decode()
KILLED = "kill -9 $$"
KILLED_LATER = f"printf '%s' '{INDEXED}'; sleep 0.2; {KILLED}"


@pytest.fixture(autouse=True)
def _short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "START_SECONDS", 0.1)
    monkeypatch.setattr(state, "RESTART_SECONDS", 0.01)
    monkeypatch.setattr(state, "MAX_RESTART_SECONDS", 0.04)


@asynccontextmanager
async def app_state(monkeypatch: pytest.MonkeyPatch, *workers: str) -> AsyncGenerator[AppState]:
    """Its workers are these shell scripts, one after the other, and then others that are killed at once."""
    scripts = [*workers]

    async def start_process(*_: object) -> asyncio.subprocess.Process:
        script = scripts.pop(0) if scripts else KILLED
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec("sh", "-c", script, stdin=pipe, stdout=pipe)

    monkeypatch.setattr(state, "start_process", start_process)
    made = AppState(app=Path(), port=0, configure=lambda: (HostConfig(), {}), watched=False)
    running = asyncio.create_task(made.run())
    try:
        yield made
    finally:
        running.cancel()
        await asyncio.wait((running,))


async def pauses(caplog: pytest.LogCaptureFixture, count: int) -> list[object]:
    """The first pauses before another start."""
    async with asyncio.timeout(PATIENCE):
        while True:
            found = [record.args for record in caplog.records if "starting it again" in record.msg]
            if len(found) >= count:
                return [pause for args in found[:count] if isinstance(args, tuple) for pause in args]
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(("method", "path"), [("GET", "/api/hello"), ("POST", "/admin/functions/purge")])
async def test_request_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch, method: str, path: str) -> None:
    async with app_state(monkeypatch) as made:
        transport = httpx2.ASGITransport(Front(made))
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as http:
            headers = {"content-type": "application/json"}
            answer = await asyncio.wait_for(http.request(method, path, headers=headers), PATIENCE)
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "2"


async def test_pause_between_starts_doubles(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    async with app_state(monkeypatch):
        assert await pauses(caplog, 5) == [0.01, 0.02, 0.04, 0.04, 0.04]


async def test_pause_is_the_shortest_again_after_a_worker_that_served(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with app_state(monkeypatch, KILLED, KILLED, KILLED_LATER):
        assert await pauses(caplog, 4) == [0.01, 0.02, 0.01, 0.02]
