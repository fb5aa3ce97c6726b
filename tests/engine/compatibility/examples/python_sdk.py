import asyncio
import webbrowser
from urllib.parse import parse_qsl

import httpx2
from mcp import Client
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata, OAuthToken

URL, PORT = "https://mcp.contoso.com/mcp", 8765


class Storage:
    """Forgets when the program ends; write both to a file to stay signed in."""

    tokens: OAuthToken | None = None
    client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


async def main() -> None:
    came: asyncio.Queue[dict[str, str]] = asyncio.Queue()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        query = (await reader.readline()).partition(b"?")[2].partition(b" ")[0].decode()
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nYou can close this window.")
        writer.close()
        if query:
            came.put_nowait(dict(parse_qsl(query)))

    async def open_browser(address: str) -> None:
        webbrowser.open(address)

    async def answer() -> AuthorizationCodeResult:
        found = await came.get()
        if "error" in found:
            raise SystemExit(found.get("error_description", found["error"]))
        return AuthorizationCodeResult.model_validate(found)

    metadata = OAuthClientMetadata.model_validate(
        {"client_name": "My program", "redirect_uris": [f"http://127.0.0.1:{PORT}/callback"]}
    )
    auth = OAuthClientProvider(URL, metadata, Storage(), open_browser, answer)
    async with (
        await asyncio.start_server(take, "127.0.0.1", PORT),
        httpx2.AsyncClient(auth=auth, timeout=60) as http,
        Client(streamable_http_client(URL, http_client=http)) as client,
    ):
        print((await client.call_tool("whoami")).structured_content)


asyncio.run(main())
