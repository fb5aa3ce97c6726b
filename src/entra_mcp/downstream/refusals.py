"""What a client gets to read when Entra ID or an API refuses, so that a person knows what to do."""

from __future__ import annotations

import json
import logging
from math import ceil
from typing import TYPE_CHECKING, Any, cast

from fastmcp.exceptions import ToolError

from entra_mcp.auth.entra.refusals import error_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from azure.core.exceptions import ClientAuthenticationError

CONSENT_CODES = frozenset({65001, 65004, 90094, 90095})
"""AADSTS codes of a permission that nobody granted
(https://learn.microsoft.com/entra/identity-platform/reference-error-codes)."""

SIGN_IN_ERRORS = frozenset({"interaction_required", "login_required", "invalid_grant"})
"""OAuth errors that only the person can fix, by signing in again (OpenID Connect Core section 3.1.2.6)."""

BUSY_STATUSES = frozenset({429, 500, 502, 503, 504})


class DownstreamError(ToolError):
    """Root of what a call of another API may end with; the message is meant for the client."""

    def __init__(self, message: str) -> None:
        # The reason is in the log already, where it was found.
        super().__init__(message, log_level=logging.INFO)


class ConsentRequiredError(DownstreamError):
    """The person, or an administrator, has to allow something first; carries where, and how to ask for it.

    `question` is the name of the question.
    """

    def __init__(self, *, scopes: Sequence[str], url: str, question: str) -> None:
        self.url = url
        self.question = question
        missing = f"You have not yet allowed this server to use {' '.join(scopes)} for you."
        administrator = "If you are not allowed to accept, your administrator is."
        self.text = f"{missing} Sign in and accept on the page that opens. {administrator}"
        super().__init__(f"{missing} Open {url} in your browser, sign in and accept, then ask again. {administrator}")


class SignInAgainError(DownstreamError):
    """Entra ID wants the person to sign in again: for a second factor, say, or because the sign-in was revoked."""

    def __init__(self, *, api: str) -> None:
        super().__init__(
            f"Microsoft Entra ID wants you to sign in again before this server may use {api} for you. "
            "Disconnect this server in your client, or clear its authentication, and connect again."
        )


class DownstreamBusyError(DownstreamError):
    """An API, or Entra ID, does not answer or asks for patience, for so many seconds if it says so."""

    def __init__(self, *, api: str, seconds: float | None = None) -> None:
        advice = (
            "did not answer. Try again in a moment." if seconds is None else f"is busy. Try again in {ceil(seconds)} s."
        )
        super().__init__(f"{api} {advice}")


class DownstreamRefusedError(DownstreamError):
    """An API, or Entra ID, refused for a reason that the person cannot fix; the log has it."""


def refusal_of(
    error: ClientAuthenticationError, *, api: str, scopes: Sequence[str], consent_url: str, question: str
) -> ToolError:
    """What to say of a token request that Entra ID refused."""
    document = _document(error)
    status = getattr(error.response, "status_code", None)
    if document.get("suberror") == "consent_required" or error_number(error.message) in CONSENT_CODES:
        return ConsentRequiredError(scopes=scopes, url=consent_url, question=question)
    if document.get("error") in SIGN_IN_ERRORS:
        return SignInAgainError(api=api)
    if status in BUSY_STATUSES or document.get("error") == "temporarily_unavailable":
        return DownstreamBusyError(api="Microsoft Entra ID")
    return DownstreamRefusedError(
        f"Microsoft Entra ID refused this server access to {api}. The server's owner finds the reason in its log."
    )


def _document(error: ClientAuthenticationError) -> dict[str, Any]:
    try:
        document: object = json.loads(error.response.text()) if error.response is not None else None
    except ValueError:
        document = None
    return cast("dict[str, Any]", document) if isinstance(document, dict) else {}
