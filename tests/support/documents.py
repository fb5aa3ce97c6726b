"""An https server with the documents of clients, at a public address that only leads there through a proxy.

The server under test refuses to fetch from this machine, so it takes a company's proxy for requests to the internet.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import trustme
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from tests.support.ports import free_ports
from tests.support.serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from starlette.requests import Request

ADDRESS = "93.184.215.14"
"""An address, so that no name server is asked."""


class Documents:
    """Documents by their URL, and how often each was fetched."""

    def __init__(self, folder: Path, *, trusted: Path) -> None:
        """`trusted` has the certificates that the server under test trusts already."""
        (self._proxy_port,) = free_ports(1)
        self._found: dict[str, Any] = {}
        self.fetched: Counter[str] = Counter()
        authority = trustme.CA()
        self._certificate = folder / "documents.pem"
        self._certificate.write_bytes(authority.issue_cert(ADDRESS).private_key_and_cert_chain_pem.bytes())
        self._bundle = folder / "trusted.pem"
        self._bundle.write_bytes(trusted.read_bytes() + authority.cert_pem.bytes())

    @property
    def environment(self) -> dict[str, str]:
        """What leads the server under test to the documents, and has it trust them."""
        return {"HTTPS_PROXY": f"http://127.0.0.1:{self._proxy_port}", "SSL_CERT_FILE": str(self._bundle)}

    def add(self, name: str, **members: Any) -> str:  # noqa: ANN401 - any JSON
        """Adds the document of a client; returns its URL, which is the client's id."""
        url = f"https://{ADDRESS}/{name}.json"
        self._found[url] = {"client_id": url, **members}
        return url

    @asynccontextmanager
    async def serving(self) -> AsyncGenerator[None]:
        """Serves them behind the proxy, for as long as the context lasts."""
        async with serving(Starlette(routes=[Route("/{name}", self._answer)]), tls=self._certificate) as port:

            async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                asked, _, _ = (await reader.readuntil(b"\r\n\r\n")).partition(b"\r\n")
                assert asked == f"CONNECT {ADDRESS}:443 HTTP/1.1".encode(), asked
                far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                await asyncio.gather(_forward(reader, far_writer), _forward(far_reader, writer))

            async with await asyncio.start_server(connect, "127.0.0.1", self._proxy_port):
                yield

    async def _answer(self, request: Request) -> Response:
        url = f"https://{ADDRESS}{request.url.path}"
        self.fetched[url] += 1
        return Response(json.dumps(self._found[url]), media_type="application/json")


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while piece := await reader.read(65_536):
            writer.write(piece)
            await writer.drain()
    writer.close()
