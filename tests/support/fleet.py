"""Several workers with the real app behind one address, which gives each request to the next of them in turn."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx2

from tests.support.serving import serving
from tests.support.stack import Stack

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from pathlib import Path

    from starlette.types import Receive, Scope, Send

WORKERS = 3

HOP_BY_HOP = frozenset({b"connection", b"keep-alive", b"transfer-encoding"})


class Fleet(Stack):
    """A stack whose workers all take the address of a proxy for theirs."""

    def __init__(self, folder: Path, **options: Any) -> None:  # noqa: ANN401 - those of `Stack`
        super().__init__(folder, behind=WORKERS, **options)

    @asynccontextmanager
    async def serving(self) -> AsyncGenerator[RoundRobin]:
        """The proxy, for as long as the context lasts."""
        proxy = RoundRobin([host.url for host in self.hosts])
        try:
            async with serving(proxy, port=self.port):
                yield proxy
        finally:
            await proxy.aclose()


class RoundRobin:
    """An ASGI application; streams both ways and ends a request whose client has gone."""

    def __init__(self, targets: Sequence[str]) -> None:
        self.served: Counter[str] = Counter(dict.fromkeys(targets, 0))
        self.left: Counter[str] = Counter()
        """How often each path was left by its client before the answer was complete."""
        self.token: str | None = None
        """Added to requests to /mcp that bring none, for clients that cannot sign in."""
        self._next = itertools.cycle(targets)
        self._http = httpx2.AsyncClient(timeout=60, trust_env=False, limits=httpx2.Limits(max_connections=None))

    async def aclose(self) -> None:
        await self._http.aclose()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        target = next(self._next)
        self.served[target] += 1
        body = await _read(receive)
        headers = [(name, value) for name, value in scope["headers"] if name not in HOP_BY_HOP]
        if self.token is not None and scope["path"] == "/mcp" and b"authorization" not in dict(headers):
            headers.append((b"authorization", f"Bearer {self.token}".encode()))
        query = scope["query_string"].decode()
        request = self._http.build_request(
            scope["method"],
            f"{target}{scope['raw_path'].decode()}{'?' if query else ''}{query}",
            headers=headers,
            content=body,
        )
        forwarding = asyncio.create_task(self._forward(request, send))
        leaving = asyncio.create_task(_gone(receive))
        await asyncio.wait((forwarding, leaving), return_when=asyncio.FIRST_COMPLETED)
        leaving.cancel()
        if not forwarding.done():
            self.left[scope["path"]] += 1
            forwarding.cancel()
        await asyncio.gather(forwarding, leaving, return_exceptions=True)

    async def _forward(self, request: httpx2.Request, send: Send) -> None:
        response = await self._http.send(request, stream=True)
        try:
            headers = [(name, value) for name, value in response.headers.raw if name.lower() not in HOP_BY_HOP]
            await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
            async for piece in response.aiter_raw():
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            await response.aclose()


async def _read(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body", False):
            return body


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
