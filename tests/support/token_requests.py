"""Token requests to the Entra ID stand-in, and what comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jwt

from tests.support.standins import REDIRECT_URI, StandIns

if TYPE_CHECKING:
    import httpx2

ON_BEHALF_OF = "urn:ietf:params:oauth:grant-type:jwt-bearer"
GRAPH_SCOPE = "https://graph.microsoft.com/User.Read"
Form = dict[str, str | None]


def post(standins: StandIns, http: httpx2.Client, form: Form, *, segment: str | None = None) -> httpx2.Response:
    """The answer to a token request of the app; None leaves a field out."""
    sent: Form = {"client_id": standins.client_id, "client_secret": standins.client_secret, **form}
    data = {name: value for name, value in sent.items() if value is not None}
    return http.post(f"/{segment or standins.tenant_id}/oauth2/v2.0/token", data=data)


def code_form(standins: StandIns, account: str = "user", **changes: str | None) -> Form:
    """A token request that redeems a fresh authorization code."""
    callback = standins.sign_in(account)
    return {
        "grant_type": "authorization_code",
        "code": callback["code"],
        "redirect_uri": REDIRECT_URI,
        "code_verifier": callback["code_verifier"],
        "scope": f"{standins.api_scope} openid profile offline_access",
        **changes,
    }


def on_behalf_of_form(standins: StandIns, account: str = "user", changes: Form | None = None, **named: str) -> Form:
    """A token request that exchanges a user's token for one of Microsoft Graph, once the user has consented to it."""
    standins.sign_in(account)
    return {
        "grant_type": ON_BEHALF_OF,
        "requested_token_use": "on_behalf_of",
        "assertion": standins.token(account),
        "scope": GRAPH_SCOPE,
        **(changes or {}),
        **named,
    }


def tokens_of(answer: httpx2.Response) -> dict[str, Any]:
    """The body of a successful answer."""
    assert answer.status_code == 200, answer.text
    return answer.json()


def failed(answer: httpx2.Response, code: int, error: str, status: int = 400) -> dict[str, Any]:
    """The body of an answer that must have this code, error and status."""
    document = answer.json()
    assert (document["error_codes"], document["error"], answer.status_code) == ([code], error, status), document
    return document


def claims_of(token: str) -> dict[str, Any]:
    """Claims of a token, unverified."""
    return jwt.decode(token, options={"verify_signature": False})
