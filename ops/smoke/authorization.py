"""Registration, consent, the way to Entra ID with the right parameters (RFC 7591, RFC 7636), and what must be refused.

Each refusal that lacks is how somebody else's sign-in would be taken over (RFC 9700).
"""

from __future__ import annotations

import re
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING

from entra_mcp.urls import is_loopback
from local.check.pages import Button, read_page
from ops.aadsts import AADSTS, codes_shown
from ops.attempt import FoundError, Note, expect
from ops.documents import part
from ops.smoke.target import FAULT, REDIRECT_URI, brief

if TYPE_CHECKING:
    import httpx2

    from ops.smoke.target import Target

FOREIGN = "https://smoke-test.invalid/callback"
NOT_ALLOWED = "invalid_redirect_uri"
"""What a server answers whose MCP_ALLOWED_REDIRECT_URIS lacks the address (RFC 7591)."""

MAX_HOPS = 8
ALLOW = "Allow"
GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def registration(target: Target) -> str:
    """Registers the client of the other steps; a note, and no client, where the server admits none of its kind."""
    response = register(target, REDIRECT_URI)
    if response.status_code == HTTPStatus.BAD_REQUEST and _error_of(response) == NOT_ALLOWED:
        return Note(
            "programs on people's own machines are not admitted, so the rest was not tried. If they are to be, "
            "MCP_ALLOWED_REDIRECT_URIS has to hold `defaults`"
        )
    expect(
        response.status_code in {HTTPStatus.OK, HTTPStatus.CREATED},
        f"POST /register answers {response.status_code} {brief(response)}",
        remedy="The log of the server says why. With 429 too many registered lately: try again in a few minutes.",
    )
    target.client_id = str(response.json().get("client_id") or "")
    expect(target.client_id, "the answer has no client_id", remedy="Is another server answering?")
    return "a client on the user's own machine may register"


def _error_of(response: httpx2.Response) -> str:
    """The code of a refused registration (RFC 7591); empty when there is none."""
    with suppress(ValueError):
        return str(part(response.json()).get("error") or "")
    return ""


def register(target: Target, redirect_uri: str) -> httpx2.Response:
    """Registers a client with this redirect URI."""
    body = {
        "client_name": "Smoke test",
        "redirect_uris": [redirect_uri],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    }
    return target.request("POST", "/register", json=body)


def way_to_entra(target: Target) -> str:
    """Presses Allow on the consent page, and looks where that leads."""
    state = "state of the smoke test"
    response = target.get("/authorize", **target.authorize_query(state=state))
    for _hop in range(MAX_HOPS):
        following = response.next_request
        if following is None:
            response = _press_allow(target, response)
        elif _origin(following.url) == _origin(target.http.base_url):
            response = target.get(str(following.url))
        else:
            return _check_entra(target, following.url, client_state=state)
    raise FoundError("the way to Entra ID goes in circles", remedy=FAULT)


def _origin(url: httpx2.URL) -> str:
    return f"{url.scheme}://{url.netloc.decode()}"


def _press_allow(target: Target, response: httpx2.Response) -> httpx2.Response:
    url = response.url
    button = read_page(response.text, url=str(url), status=response.status_code).way(ALLOW)
    if response.status_code != HTTPStatus.OK or not isinstance(button, Button):
        raise FoundError(
            f"{url.path} answers {response.status_code}, without a page to consent on: {brief(response)}",
            remedy="The log of the server says why. Cookies have to reach the browser as they were set: is there a "
            "proxy in front that rewrites them?",
        )
    fields = {**dict(button.form.fields), **({button.name: button.value} if button.name else {})}
    return target.request("POST", str(url.join(button.form.action)), data=fields, headers={"Origin": _origin(url)})


def _check_entra(target: Target, url: httpx2.URL, *, client_state: str) -> str:
    expect(
        url.path.endswith("/oauth2/v2.0/authorize") and (url.scheme == "https" or is_loopback(str(url))),
        f"consent leads to {_origin(url)}{url.path}, which is not Entra ID",
        remedy="Check ENTRA_AUTHORITY and ENTRA_AUTHORIZATION_ENDPOINT.",
    )
    _check_parameters(target, url.params, client_state=client_state)
    _open_entra(target, url)
    return f"{url.netloc.decode()}: client_id, redirect_uri, scope, state, PKCE S256; the sign-in page opens"


def _check_parameters(target: Target, sent: httpx2.QueryParams, *, client_state: str) -> None:
    client_id = sent.get("client_id", "")
    expect(
        GUID.fullmatch(client_id) and client_id == (target.expected_client_id or client_id),
        f"client_id is {client_id}" + (f", and not {target.expected_client_id}" if target.expected_client_id else ""),
        remedy="Check ENTRA_CLIENT_ID.",
    )
    redirect_uri, wanted = sent.get("redirect_uri"), f"{target.base_url}/auth/callback"
    expect(
        redirect_uri == wanted,
        f"redirect_uri is {redirect_uri}, and not {wanted}",
        remedy="Check MCP_BASE_URL.",
    )
    scopes = sent.get("scope", "").split()
    for scope in target.scopes:
        expect(
            any(asked.endswith(f"/{scope}") for asked in scopes),
            f"scope lacks {scope}: {' '.join(scopes)}",
            remedy="Check ENTRA_REQUIRED_SCOPES and ENTRA_IDENTIFIER_URI.",
        )
    expect(
        {"openid", "offline_access"} <= set(scopes),
        f"scope lacks openid or offline_access: {' '.join(scopes)}",
        remedy="ENTRA_ADDITIONAL_SCOPES has to hold openid, profile and offline_access.",
    )
    expect(
        sent.get("response_type") == "code" and sent.get("state", client_state) not in {"", client_state},
        "response_type is not code, or state is missing or the client's own",
        remedy=FAULT,
    )
    expect(
        sent.get("code_challenge_method") == "S256" and len(sent.get("code_challenge", "")) == 43,
        "there is no PKCE challenge with S256",
        remedy=FAULT,
    )
    expect(
        "resource" not in sent,
        "resource is sent beside the scope, which Entra ID refuses (AADSTS9010010)",
        remedy=FAULT,
    )


def _open_entra(target: Target, url: httpx2.URL) -> None:
    """Entra ID checks client id, redirect URI and scope before anybody signs in, and says so on the page."""
    response = target.get(str(url))
    for _hop in range(MAX_HOPS):
        if response.next_request is None:
            break
        response = target.get(str(response.next_request.url))
    codes = codes_shown(response.text) or codes_shown(str(response.url))
    if codes:
        found = AADSTS.get(codes[0])
        raise FoundError(
            f"Entra ID shows AADSTS{codes[0]}{f': {found.means}' if found else ''}",
            remedy=found.remedy if found else "`python -m ops doctor` compares the registration.",
        )
    expect(
        response.status_code < HTTPStatus.BAD_REQUEST,
        f"Entra ID answers {response.status_code} {brief(response)}",
        remedy="Check ENTRA_TENANT_ID and ENTRA_AUTHORITY.",
    )


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
        following = response.next_request
        expect(
            response.status_code == HTTPStatus.BAD_REQUEST or (following and following.url.params.get("error")),
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
