"""Callers of a server: they sign in once, then call its tool `add` with as little work of their own as possible.

A client library takes as long for a call as the server does. These send bytes that were made beforehand.
"""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx2

from bench.contestants import NO_AUTH, Contestant
from bench.figures import BenchError
from tests.support.fault_proxy import read_message
from tests.support.mcp import tool_call
from tests.support.oauth import OAuthClient

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Iterable, Iterator, Sequence


@dataclass(frozen=True, slots=True)
class Load:
    """How long each call took, and all of them together, in seconds."""

    times: list[float]
    seconds: float


@asynccontextmanager
async def signing_in(contestant: Contestant) -> AsyncGenerator[OAuthClient]:
    """Yields a client with cookies of its own."""
    async with httpx2.AsyncClient(base_url=contestant.url, timeout=60, trust_env=False, verify=False) as http:
        yield OAuthClient(http=http)


async def sign_in(contestant: Contestant, people: int) -> list[str | None]:
    """The access tokens of so many sign-ins; None each where the server asks for none."""
    if contestant.name == NO_AUTH:
        return [None] * people
    tokens: list[str | None] = []
    for _ in range(people):
        async with signing_in(contestant) as client:
            tokens.append((await client.sign_in())["access_token"])
    return tokens


async def some_at_once[T](work: Iterable[Awaitable[T]], *, places: int) -> list[T]:
    """The results of all the work, of which so much is done at once."""
    free = asyncio.Semaphore(places)

    async def one(piece: Awaitable[T]) -> T:
        async with free:
            return await piece

    return await asyncio.gather(*(one(piece) for piece in work))


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
