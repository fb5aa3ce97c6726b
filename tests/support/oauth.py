"""An OAuth client that takes one step at a time, so that tests can look between them and repeat any of them."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from pydantic import AnyUrl

from tests.support.forms import Forms
from tests.support.mcp import tool_call
from tests.support.standins import open_page, press

if TYPE_CHECKING:
    import httpx2

REDIRECT_URI = "http://localhost:53682/callback"


@dataclass(kw_only=True)
class OAuthClient:
    """One MCP client and the browser of its user; `http` has the server's address as base URL and keeps cookies."""

    http: httpx2.AsyncClient
    redirect_uri: str = REDIRECT_URI
    client_id: str = ""
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))
    state: str = field(default_factory=lambda: secrets.token_urlsafe(16))

    async def register(self) -> httpx2.Response:
        response = await self.http.post(
            "/register",
            json={
                "client_name": "Test client",
                "redirect_uris": [self.redirect_uri],
                "grant_types": ["authorization_code", "refresh_token"],
                "response_types": ["code"],
                "token_endpoint_auth_method": "none",
            },
        )
        self.client_id = response.json().get("client_id", "")
        return response

    async def authorize(self, **changes: str) -> httpx2.Response:
        """Opens the authorization URL; a good answer leads to the consent page."""
        challenge = base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()
        return await self.http.get(
            "/authorize",
            params={
                "response_type": "code",
                "client_id": self.client_id,
                "redirect_uri": self.redirect_uri,
                "state": self.state,
                "code_challenge": challenge,
                "code_challenge_method": "S256",
                "scope": "access_as_user",
            }
            | changes,
        )

    async def consent_page(self, **changes: str) -> httpx2.Response:
        return await self.http.get((await self.authorize(**changes)).headers["location"])

    async def consent(self, page: httpx2.Response, *, action: str = "approve") -> httpx2.Response:
        """Presses a button of the consent page; after `approve` the answer leads to Entra ID."""
        return await self.http.post(str(page.url), data=Forms(page.text).fields | {"action": action})

    async def entra_page(self, entra_url: str) -> str:
        """Entra ID's sign-in page."""
        return await asyncio.to_thread(open_page, entra_url)

    async def entra_choice(self, entra_url: str, page: str, account: str = "user") -> dict[str, str]:
        """Chooses the account on the page; returns the parameters that Entra ID sends back to the server."""
        return await asyncio.to_thread(press, entra_url, page, account=account)

    async def entra_return(self, parameters: dict[str, str]) -> httpx2.Response:
        """Brings Entra ID's answer to the server; the answer leads to the client."""
        return await self.http.get("/auth/callback", params=parameters)

    async def callback(self, entra_url: str, account: str = "user") -> httpx2.Response:
        """Signs the account in at Entra ID and brings its answer back."""
        page = await self.entra_page(entra_url)
        return await self.entra_return(await self.entra_choice(entra_url, page, account))

    def answer(self, response: httpx2.Response) -> dict[str, str]:
        """The parameters that the server's last redirect brings to the client."""
        location: str = response.headers["location"]
        # An empty path is written as `/`, and a query of its own stays.
        address = str(AnyUrl(self.redirect_uri))
        begin = f"{address}{'&' if '?' in address else '?'}"
        assert location.startswith(begin), location
        return {name: values[0] for name, values in parse_qs(location[len(begin) :], strict_parsing=True).items()}

    async def code(self, page: httpx2.Response | None = None, *, account: str = "user") -> str:
        """Takes the steps up to the authorization code: from that consent page, or else from the first missing one."""
        if not self.client_id:
            await self.register()
        upstream = await self.consent(page or await self.consent_page())
        back = await self.callback(upstream.headers["location"], account)
        return self.answer(back)["code"]

    async def redeem(self, code: str, **changes: str) -> httpx2.Response:
        return await self.http.post(
            "/token",
            data={
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": self.redirect_uri,
                "client_id": self.client_id,
                "code_verifier": self.verifier,
            }
            | changes,
        )

    async def refresh(self, refresh_token: str, **changes: str) -> httpx2.Response:
        return await self.http.post(
            "/token",
            data={"grant_type": "refresh_token", "refresh_token": refresh_token, "client_id": self.client_id} | changes,
        )

    async def sign_in(self, account: str = "user") -> dict[str, Any]:
        """Takes every step; returns the token response."""
        await self.register()
        response = await self.redeem(await self.code(account=account))
        assert response.status_code == 200, response.text
        return response.json()

    async def call(self, token: str | None, tool: str, arguments: dict[str, Any] | None = None) -> httpx2.Response:
        """Calls a tool in one request of the sessionless protocol's handshake-free form."""
        return await self.http.post("/mcp", **tool_call(tool, arguments, token=token))
