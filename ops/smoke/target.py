"""The server under test: requests to it, and what a failed step says."""

from __future__ import annotations

import secrets
from base64 import urlsafe_b64encode
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, cast

import httpx2

from entra_mcp.urls import is_loopback
from ops.attempt import FoundError
from ops.http import Patience

TIMEOUT_SECONDS = 60.0
"""A cold start on Flex Consumption takes seconds; more than a minute is a fault."""

REDIRECT_URI = "http://127.0.0.1:33418/callback"
"""Where a client on the user's own machine would listen; nothing listens there during the test."""

FAULT = "Report it: this is a fault of the server, or of what answers in its place."


@dataclass(kw_only=True)
class Target:
    """One server, and what the steps before have learnt of it. To be closed."""

    base_url: str
    expected_client_id: str = ""
    """The registration's client id, when it is known."""
    may_be_fresh: bool = False
    """Whether it may have been deployed a moment ago, and is worth waiting for."""
    scopes: list[str] = field(default_factory=list[str])
    authorization_server: str = ""
    client_id: str = ""
    """Of the client that the test registers."""
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))
    patience: Patience = field(default_factory=Patience)
    http: httpx2.Client = field(init=False)

    def __post_init__(self) -> None:
        self.http = httpx2.Client(
            base_url=self.base_url,
            timeout=TIMEOUT_SECONDS,
            trust_env=not is_loopback(self.base_url),
            verify=httpx2.create_ssl_context(),
            follow_redirects=False,
        )

    def close(self) -> None:
        self.http.close()

    @property
    def mcp_url(self) -> str:
        return f"{self.base_url}/mcp"

    @property
    def signs_people_in(self) -> bool:
        """Whether the server is its own authorization server, as in every mode but verify."""
        return self.authorization_server.rstrip("/") == self.base_url

    def request(self, method: str, path: str, **options: Any) -> httpx2.Response:  # noqa: ANN401 - httpx2's own
        """One request; the path may be a whole address.

        Raises:
            FoundError: nobody answers.
        """
        try:
            return self.http.request(method, path, **options)
        except httpx2.TransportError as error:
            url = error.request.url
            hint = "For the local run the certificates are in .local/tls: SSL_CERT_FILE=.local/tls/bundle.pem. "
            raise FoundError(
                f"{url.scheme}://{url.netloc.decode()} does not answer ({type(error).__name__}: {error})",
                remedy=f"{hint if 'CERTIFICATE' in str(error).upper() else ''}Is the address right, and the server up? "
                "`az functionapp show` shows its host name and state; on your machine, `make run`.",
            ) from error

    def get(self, path: str, **parameters: str) -> httpx2.Response:
        return self.request("GET", path, params=parameters or None)

    def document(self, path: str) -> dict[str, Any]:
        """The JSON object at the path."""
        response = self.get(path)
        with suppress(ValueError):
            found: object = response.json()
            if response.is_success and isinstance(found, dict):
                return cast("dict[str, Any]", found)
        raise FoundError(
            f"{path} answers {response.status_code} {brief(response)}",
            remedy="Is this the address of the server, without a path? What answers there?",
        )

    def authorize_query(self, **changes: str | None) -> dict[str, str]:
        """What a client asks the authorization endpoint for, with PKCE (RFC 7636); None leaves a parameter out."""
        challenge = urlsafe_b64encode(sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()
        query: dict[str, str | None] = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": REDIRECT_URI,
            "state": secrets.token_urlsafe(16),
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            "scope": " ".join(self.scopes),
            "resource": self.mcp_url,
            **changes,
        }
        return {name: value for name, value in query.items() if value is not None}


def brief(response: httpx2.Response) -> str:
    """The beginning of what was answered, in one line."""
    return " ".join(response.text.split())[:200]
