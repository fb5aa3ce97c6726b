"""A deadline counts the silence of what is waited for, not the lag of the event loop."""

from __future__ import annotations

import asyncio
import time
from dataclasses import FrozenInstanceError, dataclass

import pytest

from entra_mcp.patience import BEAT_SECONDS, Patience


async def test_silence_ends_the_block() -> None:
    deadline = Patience(0.05)
    with pytest.raises(TimeoutError):
        async with deadline:
            await asyncio.Event().wait()
    assert deadline.expired


async def test_block_that_ends_in_time_is_left_alone() -> None:
    async with Patience(0.05) as deadline:
        pass
    await asyncio.sleep(0.1)
    assert not deadline.expired


async def test_lag_of_the_event_loop_does_not_count() -> None:
    """Each step of the work finds the loop busy for longer than the whole deadline is."""
    seconds = 3 * BEAT_SECONDS
    async with Patience(seconds):
        for _ in range(2):
            time.sleep(seconds)  # noqa: ASYNC251 - the lag
            await asyncio.sleep(0)


async def test_lag_only_postpones_the_end() -> None:
    asyncio.get_running_loop().call_soon(time.sleep, 10 * BEAT_SECONDS)
    with pytest.raises(TimeoutError):
        async with Patience(2 * BEAT_SECONDS):
            await asyncio.Event().wait()


async def test_outer_deadline_ends_what_an_inner_one_would_let_run() -> None:
    inner = Patience(60)
    with pytest.raises(TimeoutError):
        async with Patience(0.05), inner:
            await asyncio.Event().wait()
    assert not inner.expired


async def test_error_of_the_block_is_the_error() -> None:
    @dataclass(frozen=True)
    class Frozen(Exception):  # noqa: N818 - like the SDK's
        code: str

    with pytest.raises(Frozen) as raised:
        async with Patience(1):
            raise Frozen("x")
    with pytest.raises(FrozenInstanceError):
        raised.value.code = "y"  # pyright: ignore[reportAttributeAccessIssue] - that it is frozen is the point


async def test_cancellation_from_outside_stays_one() -> None:
    async def wait() -> None:
        async with Patience(60):
            await asyncio.Event().wait()

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_lifted_deadline_ends_nothing() -> None:
    async with Patience(0.02) as deadline:
        deadline.lift()
        await asyncio.sleep(0.1)


async def test_lift_that_comes_too_late_changes_nothing() -> None:
    async def wait(deadline: Patience) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            deadline.lift()

    with pytest.raises(TimeoutError):
        async with Patience(0.02) as deadline:
            await wait(deadline)
