"""Entra ID's error codes, and the JSON document they travel in.

Codes and texts: https://learn.microsoft.com/entra/identity-platform/reference-error-codes and what the service answers.
"""

from __future__ import annotations

import json
import uuid
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Kind:
    """How one AADSTS code is answered; `text` may have fields for `str.format_map`."""

    error: str
    text: str
    status: int = 400
    suberror: str | None = None
    challenge: bool = False


KINDS: dict[int, Kind] = {
    28000: Kind(
        "invalid_request",
        "Provided value for the input parameter scope is not valid because it contains more than one resource. "
        "Scope {scope} is not valid.",
    ),
    28003: Kind(
        "invalid_request",
        "Provided value for the input parameter scope cannot be empty when requesting an access token using the "
        "provided authorization code. Please specify a valid scope.",
    ),
    50011: Kind(
        "invalid_request",
        "The redirect URI '{uri}' specified in the request does not match the redirect URIs configured for the "
        "application '{client}'. Make sure the redirect URI sent in the request matches one added to your application.",
    ),
    50013: Kind("invalid_grant", "Assertion failed signature validation. [Reason - {reason}]"),
    50020: Kind(
        "invalid_request",
        "User account '{username}' from identity provider '{provider}' does not exist in tenant '{tenant}' and cannot "
        "access the application '{client}' in that tenant. The account needs to be added as an external user first.",
    ),
    50034: Kind("invalid_request", "The user account {username} does not exist in the directory."),
    50058: Kind("login_required", "Session information is not sufficient for single-sign-on."),
    50059: Kind(
        "invalid_request",
        "No tenant-identifying information found in either the request or implied by any provided credentials.",
    ),
    50076: Kind(
        "interaction_required",
        "Due to a configuration change made by your administrator, or because you moved to a new location, you must "
        "use multi-factor authentication to access '{resource}'.",
        suberror="basic_action",
        challenge=True,
    ),
    50079: Kind(
        "interaction_required",
        "Due to a configuration change made by your administrator, or because you moved to a new location, you must "
        "enroll in multi-factor authentication to access '{resource}'.",
        suberror="basic_action",
        challenge=True,
    ),
    50148: Kind("invalid_grant", "The code_verifier is required because the request had a code_challenge (PKCE)."),
    50173: Kind(
        "invalid_grant",
        "The provided grant has expired due to it being revoked, a fresh auth token is needed. The user might have "
        "changed or reset their password. The grant was issued on '{issued}' and the TokensValidFrom date (before "
        "which tokens are not valid) for this user is '{valid_from}'.",
        suberror="bad_token",
    ),
    53003: Kind(
        "interaction_required",
        "Access has been blocked by Conditional Access policies. The access policy does not allow token issuance.",
        suberror="message_only",
        challenge=True,
    ),
    54005: Kind(
        "invalid_grant",
        "OAuth2 Authorization code was already redeemed, please retry with a new valid code or use an existing "
        "refresh token.",
    ),
    65001: Kind(
        "invalid_grant",
        "The user or administrator has not consented to use the application with ID '{client}' named '{name}'. Send "
        "an interactive authorization request for this user and resource.",
        suberror="consent_required",
    ),
    65004: Kind("access_denied", "User declined to consent to access the app."),
    70000: Kind("invalid_grant", "Provided grant is invalid or malformed."),
    70003: Kind("unsupported_grant_type", "The app requested an unsupported grant type '{grant_type}'."),
    70008: Kind(
        "invalid_grant",
        "The provided authorization code or refresh token has expired due to inactivity. Send a new interactive "
        "authorization request for this user and resource.",
    ),
    70011: Kind(
        "invalid_scope",
        "The provided request must include a 'scope' input parameter. The provided value for the input parameter "
        "'scope' is not valid. The scope {scope} is not valid.",
    ),
    90002: Kind(
        "invalid_tenant",
        "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the "
        "correct cloud. Check with your subscription administrator, this may happen if there are no active "
        "subscriptions for the tenant.",
    ),
    90014: Kind("invalid_request", "The required field '{field}' is missing from the credential."),
    90023: Kind("invalid_request", "Invalid STS request. Unsupported '{field}' value."),
    90033: Kind("temporarily_unavailable", "A transient error has occurred. Please try again.", status=503),
    240002: Kind("invalid_grant", "Input id_token cannot be used as '{grant_type}' grant."),
    500011: Kind(
        "invalid_resource",
        "The resource principal named {resource} was not found in the tenant named {tenant}. This can happen if the "
        "application has not been installed by the administrator of the tenant or consented to by any user in it.",
    ),
    500112: Kind(
        "invalid_client",
        "The reply address '{uri}' does not match the reply address '{expected}' provided when requesting "
        "Authorization code.",
    ),
    500131: Kind(
        "invalid_grant",
        "Assertion audience does not match the Client app presenting the assertion. The audience in the assertion was "
        "'{audience}' and the expected audience is '{client}' or one of the Application Uris of this application.",
    ),
    500133: Kind(
        "invalid_grant",
        "Assertion is not within its valid time range. Ensure that the access token is not expired before using it "
        "for user assertion, or request a new token.",
    ),
    501481: Kind(
        "invalid_grant",
        "The Code_Verifier does not match the code_challenge supplied in the authorization request.",
    ),
    501491: Kind("invalid_request", "Invalid size of Code_Challenge parameter."),
    650053: Kind(
        "invalid_client",
        "The application '{name}' asked for scope '{scope}' that doesn't exist on the resource '{resource}'. Contact "
        "the app vendor.",
    ),
    700005: Kind(
        "invalid_grant",
        "OAuth2 Authorization Code must be redeemed against same tenant it was acquired for (/common or /{{tenant-ID}} "
        "as appropriate).",
    ),
    700016: Kind(
        "unauthorized_client",
        "Application with identifier '{client}' was not found in the directory '{tenant}'. This can happen if the "
        "application has not been installed by the administrator of the tenant or consented to by any user in the "
        "tenant. You may have sent your authentication request to the wrong tenant.",
    ),
    700024: Kind(
        "invalid_client",
        "Client assertion is not within its valid time range.",
        status=401,
    ),
    700027: Kind(
        "invalid_client",
        "The certificate with identifier used to sign the client assertion is not "
        "registered on application. [Reason - {reason}]",
        status=401,
    ),
    700054: Kind("unsupported_response_type", "response_type '{response_type}' is not enabled for the application."),
    700082: Kind(
        "invalid_grant",
        "The refresh token has expired due to inactivity. The token was issued on {issued} and was inactive for "
        "90.00:00:00.",
    ),
    700211: Kind(
        "invalid_client",
        "No matching federated identity record found for presented assertion issuer '{presented}'.",
        status=401,
    ),
    700212: Kind(
        "invalid_client",
        "No matching federated identity record found for presented assertion audience '{presented}'.",
        status=401,
    ),
    700213: Kind(
        "invalid_client",
        "No matching federated identity record found for presented assertion subject '{presented}'.",
        status=401,
    ),
    900144: Kind("invalid_request", "The request body must contain the following parameter: '{field}'."),
    900971: Kind("invalid_request", "No reply address provided."),
    1002012: Kind(
        "invalid_scope",
        "The provided value for scope {scope} is not valid. Client credential flows must have a scope value with "
        "/.default suffixed to the resource identifier (application ID URI).",
    ),
    7000114: Kind("invalid_grant", "Application '{client}' is not allowed to make application on-behalf-of calls."),
    7000215: Kind(
        "invalid_client",
        "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not "
        "the client secret ID, for a secret added to app '{client}'.",
        status=401,
    ),
    7000218: Kind(
        "invalid_client",
        "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
        status=401,
    ),
    7000222: Kind(
        "invalid_client",
        "The provided client secret keys for app '{client}' are expired. Visit the Azure portal to create new keys "
        "for your app, or consider using certificate credentials for added security.",
        status=401,
    ),
    9002313: Kind("invalid_grant", "Invalid request. Request is malformed or invalid."),
    9010010: Kind(
        "invalid_target", "The resource parameter provided in the request doesn't match with the requested scopes."
    ),
}


class EntraError(Exception):
    """An answer with an AADSTS code; `fields` fill the code's text."""

    def __init__(self, code: int, **fields: str) -> None:
        kind = KINDS.get(code, Kind("invalid_request", "A fault was asked for through the control API."))
        self.code = code
        self.error = kind.error
        self.status = kind.status
        self.suberror = kind.suberror
        self.challenge = kind.challenge
        self.headers: dict[str, str] = {}
        self.message = f"AADSTS{code}: {kind.text.format_map(defaultdict(lambda: 'unknown', fields))}"
        super().__init__(self.message)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestIds:
    """What ties an error to one request: shown in the text and in members of its own."""

    trace_id: str
    correlation_id: str
    timestamp: str

    @classmethod
    def new(cls, *, correlation_id: str | None = None) -> RequestIds:
        """A trace of now; a caller's `client-request-id` is kept when it is a GUID."""
        try:
            correlation = str(uuid.UUID(correlation_id or ""))
        except ValueError:
            correlation = str(uuid.uuid4())
        stamp = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        return cls(trace_id=str(uuid.uuid4()), correlation_id=correlation, timestamp=stamp)

    def describe(self, error: EntraError) -> str:
        """The text of `error_description`."""
        return (
            f"{error.message} Trace ID: {self.trace_id} Correlation ID: {self.correlation_id} "
            f"Timestamp: {self.timestamp}"
        )


def error_uri(authority: str, code: int) -> str:
    return f"https://{authority}/error?code={code}"


def error_document(error: EntraError, *, authority: str, trace: RequestIds) -> dict[str, Any]:
    """The JSON body of an error of the token endpoint and of the metadata documents."""
    document: dict[str, Any] = {
        "error": error.error,
        "error_description": trace.describe(error),
        "error_codes": [error.code],
        "timestamp": trace.timestamp,
        "trace_id": trace.trace_id,
        "correlation_id": trace.correlation_id,
        "error_uri": error_uri(authority, error.code),
    }
    if error.suberror:
        document["suberror"] = error.suberror
    if error.challenge:
        document["claims"] = json.dumps({"access_token": {"capolids": {"essential": True, "values": [trace.trace_id]}}})
    return document
