"""What a run that watches its files reports of the starts of the app: taken from the log of the local host."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from io import StringIO
from typing import TYPE_CHECKING

import pytest

from local import restarts
from local.account import Account
from local.host.errors import AppBrokenError
from local.host.report import NOT_READY, NOT_STARTED, RESTARTED
from local.restarts import tell_restarts

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

STACK = (
    'Traceback (most recent call last):\n  File "/checkout/add.py", line 3\n    add(\n'
    "       ^\nSyntaxError: '(' was never closed\n"
)
BROKEN = AppBrokenError("SyntaxError: '(' was never closed (add.py, line 3)", stack=STACK)
BEFORE = f"INFO ready\n{RESTARTED[:-1]}\n"
"""Nothing of it is a report."""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    log = tmp_path / "functions.log"
    log.write_text(BEFORE)
    return log


def add(log: Path, text: str) -> None:
    with log.open("a") as sink:
        sink.write(text)


@asynccontextmanager
async def followed(log: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[StringIO]:
    """What is said of the log."""
    monkeypatch.setattr(restarts, "PAUSE", 0.01)
    said = StringIO()
    following = asyncio.create_task(tell_restarts(log, Account(file=said)))
    await asyncio.sleep(0.05)
    assert said.getvalue() == ""
    yield said
    following.cancel()
    await asyncio.wait({following})
    assert following.cancelled()


async def until(said: StringIO, text: str) -> None:
    async with asyncio.timeout(10):
        while text not in said.getvalue():  # noqa: ASYNC110 - a text that grows sets no event
            await asyncio.sleep(0.01)


async def test_failure_is_told_with_its_place_and_the_restart_after_it(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with followed(log, monkeypatch) as said:
        add(log, f"2026-01-01 INFO POST /mcp -> 200\n{BROKEN}\n{NOT_STARTED}{BROKEN.reason}\n")
        add(log, f"INFO ready\n{RESTARTED}\nINFO POST /mcp -> 200\n")
        await until(said, "runs again")
    first, *rest = said.getvalue().splitlines()
    assert first == "  FAILED  the app does not start: SyntaxError: '(' was never closed"
    assert '  File "/checkout/add.py", line 3' in said.getvalue()
    assert "POST /mcp" not in said.getvalue()
    assert len(rest) == 6
    assert rest[5] == "  ok  restarted             the app runs again"


async def test_app_that_is_not_ready_is_told_until_it_is(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with followed(log, monkeypatch) as said:
        add(log, f"{NOT_READY}The application did not start: add: wrong\n{BROKEN}\n{NOT_READY}{BROKEN.reason}\n")
        add(log, f"{RESTARTED}\n")
        await until(said, "runs again")
    first, second, *stack, last = said.getvalue().splitlines()
    assert first == "  FAILED  the app is not ready: The application did not start: add: wrong"
    assert second == "  FAILED  the app is not ready: SyntaxError: '(' was never closed"
    assert '        File "/checkout/add.py", line 3' in stack
    assert last == "  ok  restarted             the app runs again"


def test_frames_of_what_imports_the_app_are_left_out() -> None:
    machinery = (
        "<frozen importlib._bootstrap>",
        "/x/azure_functions_runtime/loader.py",
        "C:\\x\\importlib\\__init__.py",
        "/x/beartype/claw/_importlib/_clawimpfileloader.py",
    )
    frames = "".join(f'  File "{path}", line 7, in load\n    load(\n    ^^^^\n' for path in machinery)
    failed = AppBrokenError(BROKEN.message, stack=STACK.replace("\n", f"\n{frames}", 1))
    assert str(failed) == str(BROKEN)


async def test_start_that_failed_before_anybody_looked_is_told(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add(log, f"{NOT_READY}The application did not start: add: wrong\n")
    monkeypatch.setattr(restarts, "PAUSE", 0.01)
    said = StringIO()
    following = asyncio.create_task(tell_restarts(log, Account(file=said)))
    await until(said, "\n")
    following.cancel()
    await asyncio.wait({following})
    assert said.getvalue() == "  FAILED  the app is not ready: The application did not start: add: wrong\n"


async def test_line_that_is_still_being_written_is_told_once_it_is_whole(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with followed(log, monkeypatch) as said:
        add(log, RESTARTED[:9])
        await asyncio.sleep(0.1)
        assert said.getvalue() == ""
        add(log, f"{RESTARTED[9:]}\n")
        await until(said, "  ok  restarted")
    assert said.getvalue().count("restarted") == 1
