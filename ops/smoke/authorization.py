"""Registration, consent, and the way to Entra ID with the right parameters (RFC 7591, RFC 7636)."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urljoin, urlsplit
from uuid import UUID

from entra_mcp.urls import is_loopback
from local.check.pages import Button, read_page
from ops.aadsts import AADSTS, codes_shown
from ops.smoke.target import FAULT, REDIRECT_URI, StepFailedError, brief, expect

if TYPE_CHECKING:
    import httpx2

    from ops.smoke.target import Target

MAX_HOPS = 8
ALLOW = "Allow"


def registration(target: Target) -> str:
    response = register(target, REDIRECT_URI)
    expect(
        response.status_code in {HTTPStatus.OK, HTTPStatus.CREATED},
        f"POST /register answers {response.status_code} {brief(response)}",
        remedy="MCP_ALLOWED_REDIRECT_URIS has to hold `defaults`, or clients on the users' own machines cannot "
        "register. With 429 too many registered lately: try again in a few minutes.",
    )
    target.client_id = str(response.json().get("client_id") or "")
    expect(target.client_id, "the answer has no client_id", remedy="Is another server answering?")
    return "a client on the user's own machine may register"


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
        location = response.headers.get("location", "")
        if response.is_redirect and location:
            where = urljoin(str(response.url), location)
            if _leaves(target, where):
                return _check_entra(target, where, client_state=state)
            response = target.get(where)
            continue
        response = _press_allow(target, response)
    raise StepFailedError("the way to Entra ID goes in circles", remedy=FAULT)


def _press_allow(target: Target, response: httpx2.Response) -> httpx2.Response:
    page = read_page(response.text, url=str(response.url), status=response.status_code)
    button = page.way(ALLOW)
    if response.status_code != HTTPStatus.OK or not isinstance(button, Button):
        raise StepFailedError(
            f"{urlsplit(page.url).path} answers {response.status_code}, without a page to consent on: "
            f"{brief(response)}",
            remedy="The log of the server says why. Cookies have to reach the browser as they were set: is there a "
            "proxy in front that rewrites them?",
        )
    fields = {**dict(button.form.fields), **({button.name: button.value} if button.name else {})}
    action = urljoin(page.url, button.form.action or page.url)
    parts = urlsplit(page.url)
    return target.request("POST", action, data=fields, headers={"Origin": f"{parts.scheme}://{parts.netloc}"})


def _leaves(target: Target, where: str) -> bool:
    ours, theirs = urlsplit(target.base_url), urlsplit(where)
    return (ours.scheme, ours.netloc) != (theirs.scheme, theirs.netloc)


def _check_entra(target: Target, where: str, *, client_state: str) -> str:
    parts = urlsplit(where)
    sent = {name: values[0] for name, values in parse_qs(parts.query).items()}
    expect(
        parts.path.endswith("/oauth2/v2.0/authorize") and (parts.scheme == "https" or is_loopback(where)),
        f"consent leads to {parts.scheme}://{parts.netloc}{parts.path}, which is not Entra ID",
        remedy="Check ENTRA_AUTHORITY and ENTRA_AUTHORIZATION_ENDPOINT.",
    )
    _check_parameters(target, sent, client_state=client_state)
    _open_entra(target, where)
    return f"{parts.netloc}: client_id, redirect_uri, scope, state, PKCE S256; the sign-in page opens"


def _check_parameters(target: Target, sent: dict[str, str], *, client_state: str) -> None:
    client_id = sent.get("client_id", "")
    expect(
        _is_guid(client_id) and client_id == (target.expected_client_id or client_id),
        f"client_id is {client_id}" + (f", and not {target.expected_client_id}" if target.expected_client_id else ""),
        remedy="Check ENTRA_CLIENT_ID.",
    )
    redirect_uri = sent.get("redirect_uri")
    expect(
        redirect_uri == target.callback_url,
        f"redirect_uri is {redirect_uri}, and not {target.callback_url}",
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
        sent.get("response_type") == "code" and sent.get("state") and sent["state"] != client_state,
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


def _open_entra(target: Target, where: str) -> None:
    """Entra ID checks client id, redirect URI and scope before anybody signs in, and says so on the page."""
    response = target.get(where)
    for _hop in range(MAX_HOPS):
        location = response.headers.get("location", "")
        if not response.is_redirect or not location:
            break
        response = target.get(urljoin(str(response.url), location))
    codes = codes_shown(response.text) or codes_shown(str(response.url))
    if codes:
        found = AADSTS.get(codes[0])
        raise StepFailedError(
            f"Entra ID shows AADSTS{codes[0]}{f': {found.means}' if found else ''}",
            remedy=found.remedy if found else "`python -m ops doctor` compares the registration.",
        )
    expect(
        response.status_code < HTTPStatus.BAD_REQUEST,
        f"Entra ID answers {response.status_code} {brief(response)}",
        remedy="Check ENTRA_TENANT_ID and ENTRA_AUTHORITY.",
    )


def _is_guid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
