"""The client of Entra ID's token endpoint: it knows who may sign in, and distinguishes a refusal from an outage.

Entra ID signs in whoever the registration admits, which with `organizations` is anybody's employee. What this server
does not admit ends at the sign-in: nothing of it is stored, and the client hears why.

Entra ID says `invalid_grant`, `interaction_required` and the like when only the person can go on: the client has to
sign in again. A wrong secret, throttling or a server error are nothing that the person could fix: those are an outage
(https://learn.microsoft.com/entra/identity-platform/reference-error-codes).
"""

from __future__ import annotations

import logging
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

import httpx2
from fastmcp.server.auth.oauth_proxy.upstream import OAuthError

from entra_mcp.auth.entra.refusals import error_number
from entra_mcp.errors import EntraMcpError, UpstreamUnavailableError
from entra_mcp.patience import Patience
from entra_mcp.request import REQUEST, recording_failures
from entra_mcp.storage.collections import UPSTREAM_TOKENS
from entra_mcp.telemetry.metrics import Grant, Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    from entra_mcp.auth.entra.credential import ClientCredential
    from entra_mcp.auth.entra.verifier import EntraTokenVerifier
    from entra_mcp.telemetry import Metrics

TIMEOUT_SECONDS = 2.5
"""For one request, its connection included."""

SIGN_IN_AGAIN = frozenset(
    {"invalid_grant", "interaction_required", "login_required", "consent_required", "access_denied"}
)
"""Errors that a person ends by signing in again."""

ENDED = (httpx2.RemoteProtocolError, httpx2.ReadError, httpx2.WriteError)
"""The connection ended without an answer, as one does that was idle until now. Sending the request again is what the
client would do next; Entra ID refuses a code that it has redeemed already, whoever sends it again."""

CREDENTIAL_ERRORS = frozenset({"invalid_client", "unauthorized_client"})

TRY_ANEW = "The sign-in at Microsoft was not completed. Sign in again."
NOT_ADMITTED = "This account may not sign in here. Sign in with another one, or ask the server's owner."

MAX_RETRY_AFTER_SECONDS = 300

logger = logging.getLogger(__name__)


class SignInRefusedError(EntraMcpError):
    """The sign-in came to nothing; the message is for the log."""


class EntraOAuthClient:
    """Redeems authorization codes and refresh tokens at Entra ID; what FastMCP's proxy wants for its upstream."""

    client_secret = None
    """Read by the proxy for a revocation endpoint, which Entra ID does not have."""

    def __init__(
        self,
        *,
        client_id: str,
        credential: ClientCredential,
        verifier: EntraTokenVerifier,
        http_client: httpx2.AsyncClient,
        metrics: Metrics,
    ) -> None:
        """`metrics` count the sign-ins that end here, before there is a code for the client."""
        self._client_id = client_id
        self._credential = credential
        self._verifier = verifier
        self._http = http_client
        self._metrics = metrics

    async def fetch_token(
        self, url: str, *, grant_type: str = "authorization_code", **params: str | None
    ) -> dict[str, Any]:
        """Redeems an authorization code and verifies the access token that comes for it.

        Raises:
            SignInRefusedError: Entra ID refused, or the token is not one that this server accepts.
            UpstreamUnavailableError: Entra ID does not answer, or does not know this server.
            SigningKeysError: the token cannot be verified now. Without any keys the code was not used.
        """
        with recording_failures():
            # Before the code is used: it is good once, and without the keys its token could not be verified.
            await self._verifier.public_keys.ensure()
            try:
                tokens = await self._request(url, {"grant_type": grant_type, **params})
            except OAuthError as error:
                raise self._refused(f"Entra ID refused the code: {error.description}", advice=TRY_ANEW) from error
            request = REQUEST.get()
            if request is not None:
                request.rows[UPSTREAM_TOKENS] = tokens
            if await self._verifier.verify_token(str(tokens.get("access_token", ""))) is None:
                raise self._refused("the account is not one that may sign in here", advice=NOT_ADMITTED)
        return tokens

    async def refresh_token(
        self, url: str, *, refresh_token: str | None = None, **params: str | None
    ) -> dict[str, Any]:
        """Redeems a refresh token.

        Raises:
            OAuthError: `invalid_grant`: the person has to sign in again.
            UpstreamUnavailableError: Entra ID does not answer, or does not know this server.
        """
        with recording_failures():
            tokens = await self._request(url, {"grant_type": "refresh_token", "refresh_token": refresh_token, **params})
        return {"refresh_token": refresh_token, **tokens}

    async def aclose(self) -> None:
        """Closes nothing: the connections are shared by all exchanges, and closed by who opened them."""

    def _refused(self, reason: str, *, advice: str) -> SignInRefusedError:
        """The error, with advice for the person noted in the request: the proxy takes every error for a server's."""
        self._metrics.granted(Grant.SIGN_IN, Outcome.REFUSED)
        request = REQUEST.get()
        if request is not None:
            request.advice = advice
        return SignInRefusedError(reason)

    async def _request(self, url: str, data: Mapping[str, Any]) -> dict[str, Any]:
        proof = await self._credential.parameters()
        answer = await self._post(url, data, proof)
        if answer.get("error") in CREDENTIAL_ERRORS and await self._credential.renew(refused=proof):
            answer = await self._post(url, data, await self._credential.parameters())
        error = answer.get("error")
        if error is None:
            return answer
        number = error_number(str(answer.get("error_description", "")))
        code = f"AADSTS{number}" if number else "without a code"
        if error in SIGN_IN_AGAIN or (error == "invalid_request" and data["grant_type"] == "authorization_code"):
            logger.warning("Entra ID refused a %s with %s (%s).", data["grant_type"], error, code)
            raise OAuthError(error="invalid_grant", description=code)
        logger.error("Entra ID refuses this server with %s (%s): see docs/errors.", error, code)
        raise UpstreamUnavailableError(f"refuses this server with {error} ({code})")

    async def _post(self, url: str, data: Mapping[str, Any], proof: Mapping[str, str]) -> dict[str, Any]:
        form = {name: value for name, value in data.items() if value}
        form |= {"client_id": self._client_id, **proof}
        try:
            async with Patience(TIMEOUT_SECONDS):
                response = await self._send(url, form)
            answer: Any = response.json()
        except (httpx2.HTTPError, TimeoutError) as error:
            raise UpstreamUnavailableError(type(error).__name__) from error
        except ValueError as error:
            raise UpstreamUnavailableError("an answer that is not JSON", retry_after=None) from error
        status = response.status_code
        if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise UpstreamUnavailableError(f"status {status}", retry_after=_retry_after(response))
        if not isinstance(answer, dict) or not ("access_token" in answer or "error" in answer):
            raise UpstreamUnavailableError(f"status {status} without a token or an error")
        found = cast("dict[str, Any]", answer)
        if "expires_in" in found:
            found.setdefault("expires_at", int(time.time()) + int(found["expires_in"]))
        return found

    async def _send(self, url: str, form: Mapping[str, str]) -> httpx2.Response:
        # The client's own time limits would count the lag of the event loop.
        request = self._http.build_request(
            "POST", url, data=form, headers={"Accept": "application/json"}, timeout=httpx2.Timeout(None)
        )
        try:
            return await self._http.send(request)
        except ENDED:
            return await self._http.send(request)


def _retry_after(response: httpx2.Response) -> int | None:
    value = response.headers.get("retry-after", "")
    return min(max(int(value), 1), MAX_RETRY_AFTER_SECONDS) if value.isdecimal() else None
