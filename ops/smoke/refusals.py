"""What a server must refuse; each of these is how somebody else's sign-in would be taken over (RFC 9700)."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from ops.smoke.authorization import register
from ops.smoke.target import FAULT, REDIRECT_URI, brief, expect

if TYPE_CHECKING:
    import httpx2

    from ops.smoke.target import Target

FOREIGN = "https://smoke-test.invalid/callback"


def foreign_registration(target: Target) -> str:
    response = register(target, FOREIGN)
    expect(
        response.status_code == HTTPStatus.BAD_REQUEST,
        f"a client that sends people to {FOREIGN} may register ({response.status_code})",
        remedy="MCP_ALLOWED_REDIRECT_URIS is too wide: name each address.",
    )
    return "a client of an unknown site may not register"


def foreign_redirect(target: Target) -> str:
    response = target.get("/authorize", **target.authorize_query(redirect_uri=FOREIGN))
    _expect_refused_here(response, "another redirect URI than the registered one")
    return "another redirect URI is refused, without going there"


def unknown_client(target: Target) -> str:
    response = target.get("/authorize", **target.authorize_query(client_id="not-registered"))
    _expect_refused_here(response, "a client that is not registered")
    return "an unknown client is refused, without a redirect"


def no_pkce(target: Target) -> str:
    for changes in ({"code_challenge": None, "code_challenge_method": None}, {"code_challenge_method": "plain"}):
        response = target.get("/authorize", **target.authorize_query(**changes))
        error = parse_qs(urlsplit(response.headers.get("location", "")).query).get("error")
        expect(
            response.status_code == HTTPStatus.BAD_REQUEST or error,
            f"a request without PKCE S256 is not refused ({response.status_code})",
            remedy=FAULT,
        )
    return "a request without PKCE S256 is refused"


def wrong_code(target: Target) -> str:
    form = {
        "grant_type": "authorization_code",
        "code": "not-a-code",
        "redirect_uri": REDIRECT_URI,
        "client_id": target.client_id,
        "code_verifier": target.verifier,
    }
    response = target.request("POST", "/token", data=form)
    expect(
        response.status_code in {HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED} and "invalid_grant" in response.text,
        f"a wrong code gets {response.status_code} {brief(response)}",
        remedy=FAULT,
    )
    expect(
        "no-store" in response.headers.get("cache-control", ""),
        "the token endpoint's answers may be cached",
        remedy="Something in front rewrites Cache-Control; it has to pass no-store on.",
    )
    return "a wrong code is invalid_grant"


def forged_callback(target: Target) -> str:
    response = target.get("/auth/callback", code="not-a-code", state="not-a-state")
    _expect_refused_here(response, "an answer of Entra ID that nobody asked for")
    return "an answer that nobody asked for is refused"


def _expect_refused_here(response: httpx2.Response, what: str) -> None:
    refused = HTTPStatus.BAD_REQUEST <= response.status_code < HTTPStatus.INTERNAL_SERVER_ERROR
    expect(
        refused and "location" not in response.headers,
        f"{what} gets {response.status_code} {response.headers.get('location', '')}".rstrip(),
        remedy=FAULT,
    )
