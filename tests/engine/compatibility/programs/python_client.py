"""The MCP SDK for Python as a program, in version 1 or 2: it signs in, does what its arguments say, and writes JSON.

    python python_client.py URL FOLDER TASK

It runs with an environment of its own, so it imports nothing of this repository but its neighbours.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mcp
import mcp.client.auth as auth
from callback import Callback, open_browser
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from tasks import carry_out, run

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from pydantic import BaseModel

if TYPE_CHECKING or version("mcp").startswith("2."):
    import httpx2 as httpx
else:
    import httpx


class Storage:
    """The registration and the tokens in one file."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def _read(self) -> dict[str, Any]:
        return json.loads(self._file.read_text()) if self._file.exists() else {}

    def _write(self, name: str, value: BaseModel) -> None:
        self._file.write_text(json.dumps({**self._read(), name: value.model_dump(mode="json")}))

    async def get_tokens(self) -> OAuthToken | None:
        found = self._read().get("tokens")
        return found and OAuthToken.model_validate(found)

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self._write("tokens", tokens)

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        found = self._read().get("client")
        return found and OAuthClientInformationFull.model_validate(found)

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self._write("client", client_info)


async def main(url: str, folder: Path, task: str) -> dict[str, Any]:
    """What the task found."""
    with Callback() as callback:

        async def answer() -> Any:  # noqa: ANN401 - each version has a type of its own
            found = await asyncio.to_thread(callback.wait)
            result = getattr(auth, "AuthorizationCodeResult", None)
            if "error" in found:
                raise auth.OAuthFlowError(f"{found['error']}: {found.get('error_description', '')}")
            if result is None:
                return found["code"], found["state"]
            return result(code=found["code"], state=found["state"], iss=found.get("iss"))

        provider = auth.OAuthClientProvider(
            url,
            OAuthClientMetadata.model_validate({"client_name": "MCP SDK", "redirect_uris": [callback.url]}),
            Storage(folder / "sign-in.json"),
            open_browser,
            answer,
        )
        async with (
            httpx.AsyncClient(auth=provider, timeout=60, follow_redirects=True) as http,
            connected(streamable_http_client(url, http_client=http)) as (client, protocol),
        ):
            return await carry_out(Adapter(client), task, protocol=protocol)


@asynccontextmanager
async def connected(transport: Any) -> AsyncGenerator[tuple[Any, str]]:  # noqa: ANN401 - each version has types of its own
    """A connected client as each version's guide has it, and the protocol that it agreed on."""
    if version("mcp").startswith("2."):
        async with mcp.Client(transport) as client:
            yield client, client.protocol_version
        return
    async with transport as streams, mcp.ClientSession(*streams[:2]) as session:
        greeting = (await session.initialize()).model_dump(mode="json", by_alias=True)
        yield session, greeting["protocolVersion"]


class Adapter:
    """The session, as tasks.py wants it."""

    def __init__(self, session: Any) -> None:  # noqa: ANN401 - as above
        self._session = session

    async def tools(self) -> list[str]:
        return [tool.name for tool in (await self._session.list_tools()).tools]

    async def call(self, tool: str, arguments: dict[str, Any], arrivals: list[float]) -> dict[str, Any]:
        async def note(progress: float, total: float | None, message: str | None) -> None:
            arrivals.append(time.monotonic())

        result = await self._session.call_tool(tool, arguments, progress_callback=note)
        return result.model_dump(mode="json", by_alias=True)


if __name__ == "__main__":
    run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3]))
