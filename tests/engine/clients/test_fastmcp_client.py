"""FastMCP's own client, with its own OAuth, against the real app on the Functions host."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport
from fastmcp.exceptions import ToolError

from local.check.sign_in import Progress, SignIn
from local.check.storage import file_store

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path
    from typing import Any

    from tests.support.stack import Stack


@asynccontextmanager
async def signed_in(stack: Stack, kept: Path, *, account: str = "Local User") -> AsyncGenerator[Client[Any]]:
    progress = Progress(report=lambda _stage, _detail: None)
    labels = ("Allow", account)
    auth = SignIn(stack.mcp_url, progress=progress, storage=file_store(kept), labels=labels, name="Test client")
    async with Client(StreamableHttpTransport(stack.mcp_url, auth=auth)) as client:
        yield client


async def test_every_tool_works(stack: Stack, tmp_path: Path) -> None:
    async with signed_in(stack, tmp_path, account="Local Admin") as client:
        assert {"add", "count_slowly", "graph_me", "whoami"} <= {tool.name for tool in await client.list_tools()}
        caller = (await client.call_tool("whoami")).structured_content or {}
        profile = (await client.call_tool("graph_me")).structured_content or {}
        assert (await client.call_tool("add", {"a": 20, "b": 22})).data == 42
    assert caller["roles"] == ["Admin"]
    assert profile["object_id"] == caller["object_id"]


async def test_progress_arrives_while_the_tool_runs(stack: Stack, tmp_path: Path) -> None:
    arrived: asyncio.Queue[float] = asyncio.Queue()

    async def note(progress: float, total: float | None, message: str | None) -> None:
        arrived.put_nowait(progress)

    async with signed_in(stack, tmp_path) as client:
        result = await client.call_tool("count_slowly", {"to": 2, "seconds_each": 0}, progress_handler=note)
        assert result.data == 2
        assert [arrived.get_nowait() for _ in range(2)] == [1, 2]
        counting = client.call_tool("count_slowly", {"to": 60, "seconds_each": 1}, progress_handler=note)
        call = asyncio.create_task(counting)
        async with asyncio.timeout(60):
            assert [await arrived.get() for _ in range(2)] == [1, 2]
        assert not call.done()
        call.cancel()
        await asyncio.wait((call,))


async def test_tool_that_refuses_its_arguments_tells_the_client(stack: Stack, tmp_path: Path) -> None:
    async with signed_in(stack, tmp_path) as client:
        with pytest.raises(ToolError):
            await client.call_tool("count_slowly", {"to": 1000})
        assert (await client.call_tool("add", {"a": 1, "b": 1})).data == 2


async def test_many_clients_sign_in_at_once(stack: Stack, tmp_path: Path) -> None:
    async def one(number: int) -> str:
        account = ("Local User", "Local Admin")[number % 2]
        (tmp_path / str(number)).mkdir()
        async with signed_in(stack, tmp_path / str(number), account=account) as client:
            caller = (await client.call_tool("whoami")).structured_content or {}
        assert caller["name"] == account
        return account

    assert len(await asyncio.gather(*(one(number) for number in range(4)))) == 4


async def test_second_connection_needs_no_browser(stack: Stack, tmp_path: Path) -> None:
    async with signed_in(stack, tmp_path):
        pass
    progress = Progress(report=lambda _stage, _detail: None)
    auth = SignIn(stack.mcp_url, progress=progress, storage=file_store(tmp_path), labels=(), name="Test client")
    async with Client(StreamableHttpTransport(stack.mcp_url, auth=auth)) as client:
        assert (await client.call_tool("whoami")).structured_content
    assert progress.browser_opened is False
