"""Callers of a server: they sign in once, then call its tool `add` with as little work of their own as possible.

A client library takes as long for a call as the server does. These send bytes that were made beforehand.
"""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx2

from bench.contestants import NO_AUTH
from bench.figures import BenchError
from tests.support.fault_proxy import read_message
from tests.support.mcp import tool_call
from tests.support.oauth import OAuthClient

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.contestants import Contestant


@dataclass(frozen=True, slots=True)
class Load:
    """How long each call took, and all of them together, in seconds."""

    times: list[float]
    seconds: float


async def clients(stack: AsyncExitStack, contestant: Contestant, count: int) -> list[OAuthClient]:
    """So many clients, each with cookies of its own, which are closed with the stack."""
    return [
        OAuthClient(
            http=await stack.enter_async_context(
                httpx2.AsyncClient(base_url=contestant.url, timeout=60, trust_env=False, verify=False)
            )
        )
        for _ in range(count)
    ]


async def sign_in(contestant: Contestant, people: int) -> list[str | None]:
    """The access tokens of so many sign-ins; None each where the server asks for none."""
    if contestant.name == NO_AUTH:
        return [None] * people
    async with AsyncExitStack() as stack:
        return [(await client.sign_in())["access_token"] for client in await clients(stack, contestant, people)]


async def call(
    contestant: Contestant, tokens: Sequence[str | None], *, protocol: str, at_once: int, count: int
) -> Load:
    """Sends so many calls, so many at once, by all these people in turns.

    Raises:
        BenchError: a call was not answered with the sum.
    """
    requests = [
        _request(contestant, tool_call("add", {"a": 1, "b": 2}, protocol=protocol, token=each)) for each in tokens
    ]
    numbers = iter(range(count))
    times: list[float] = []
    began = time.perf_counter()
    await asyncio.gather(*(_caller(contestant, requests, numbers, times) for _ in range(min(at_once, count))))
    return Load(times, time.perf_counter() - began)


async def _caller(
    contestant: Contestant, requests: Sequence[bytes], numbers: Iterator[int], times: list[float]
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", contestant.port)
    try:
        for number in numbers:
            began = time.perf_counter()
            writer.write(requests[number % len(requests)])
            answer = await read_message(reader)
            times.append(time.perf_counter() - began)
            if not answer.startswith(b"HTTP/1.1 200") or b'"isError":false' not in answer:
                raise BenchError(f"{contestant.name} answered a call with {answer[:300]!r}")
    finally:
        writer.close()


def _request(contestant: Contestant, call: dict[str, Any]) -> bytes:
    body = json.dumps(call["json"]).encode()
    headers = {
        "Host": contestant.host,
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        **call["headers"],
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST /mcp HTTP/1.1\r\n{lines}\r\n".encode() + body
