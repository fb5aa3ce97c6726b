"""Discovery: health, the metadata documents, and the challenge that leads a client to them (RFC 9728, RFC 8414)."""

from __future__ import annotations

import re
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ops.attempt import FoundError, expect
from ops.documents import words
from ops.smoke.target import brief

if TYPE_CHECKING:
    import httpx2

    from ops.smoke.target import Target

METADATA = "/.well-known/oauth-protected-resource/mcp"
SERVER_METADATA = "/.well-known/oauth-authorization-server"
ENDPOINTS = {"authorization_endpoint": "/authorize", "token_endpoint": "/token", "registration_endpoint": "/register"}
ID_JAG = "urn:ietf:params:oauth:grant-profile:id-jag"
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
MCP_HEADERS = {"Accept": "application/json, text/event-stream"}
DEPLOY_WAITS = (5.0, 10.0, 15.0, 30.0, 30.0, 30.0)
"""Two minutes: how long a fresh deployment may take until its routes are there."""
READY_WAITS = (2.0, 3.0, 5.0, 10.0, 10.0)
ADDRESS = "Set MCP_BASE_URL to the address that clients use, letter by letter, or leave it out."

COMPONENTS = {
    "key_vault": "the vault is out of reach, a secret is missing (`python -m ops postprovision`), or the identity "
    "lacks the role Key Vault Secrets User",
    "table_storage": "the table is missing (`azd provision --no-state`), or the identity lacks the role "
    "Storage Table Data Contributor",
    "entra_signing_keys": "the public keys of Entra ID cannot be fetched: check ENTRA_TENANT_ID, ENTRA_AUTHORITY and "
    "the network",
    "settings": "a setting is missing or wrong; the log names it, and so does `python -m ops doctor`",
    "server": "the log says why: Live Metrics of Application Insights, or its table `exceptions`",
}
"""What `/readyz` names, and what to look at."""


def alive(target: Target) -> str:
    """A deployment of a moment ago has no functions yet, or no name, so this waits a while."""
    response = _settled(target)
    expect(
        response.status_code == HTTPStatus.OK and "alive" in response.text,
        f"/healthz answers {response.status_code} {brief(response)}",
        remedy="Is the app deployed (`azd deploy`), and are its functions listed? `python -m ops doctor` looks.",
    )
    return f"/healthz in {response.elapsed.total_seconds():.2f} s"


def _settled(target: Target) -> httpx2.Response:
    began = time.monotonic()
    for wait in DEPLOY_WAITS:
        if not target.may_be_fresh or time.monotonic() - began > sum(DEPLOY_WAITS):
            break
        try:
            response = target.get("/healthz")
        except FoundError as failed:
            target.patience.wait(wait, failed.reason)
            continue
        if response.status_code != HTTPStatus.NOT_FOUND and not response.is_server_error:
            return response
        target.patience.wait(wait, f"/healthz answers {response.status_code}")
    return target.get("/healthz")


def ready(target: Target) -> str:
    """The server may be starting, so this waits a while."""
    response = target.get("/readyz")
    for wait in READY_WAITS:
        if response.status_code != HTTPStatus.SERVICE_UNAVAILABLE:
            break
        target.patience.wait(wait, "the server is not ready")
        response = target.get("/readyz")
    if response.status_code == HTTPStatus.OK:
        return "all that the server depends on answers"
    named = [name for name in COMPONENTS if name in response.text]
    raise FoundError(
        f"/readyz answers {response.status_code} {brief(response)}",
        remedy="\n".join(f"{name}: {COMPONENTS[name]}" for name in named) or COMPONENTS["server"],
    )


def resource_metadata(target: Target) -> str:
    document = target.document(METADATA)
    resource = document.get("resource")
    expect(resource == target.mcp_url, f"the resource is {resource}, and not {target.mcp_url}", remedy=ADDRESS)
    servers, scopes = words(document, "authorization_servers"), words(document, "scopes_supported")
    expect(servers, "it names no authorization server", remedy="Check AUTH_MODE.")
    expect(scopes, "it names no scope", remedy="Check ENTRA_REQUIRED_SCOPES.")
    target.authorization_server, target.scopes = servers[0], scopes
    return f"{resource}, scopes {' '.join(scopes)}"


def challenge(target: Target) -> str:
    return _challenge(target, target.request("POST", "/mcp", json=PING, headers=MCP_HEADERS))


def bad_token(target: Target) -> str:
    headers = {**MCP_HEADERS, "Authorization": "Bearer not-a-token"}
    response = target.request("POST", "/mcp", json=PING, headers=headers)
    said = response.headers.get("www-authenticate", "")
    expect(
        'error="invalid_token"' in said,
        f"a wrong token is not called one: {response.status_code} {said}",
        remedy="Does something between rewrite the answer?",
    )
    return _challenge(target, response)


def _challenge(target: Target, response: httpx2.Response) -> str:
    expect(
        response.status_code == HTTPStatus.UNAUTHORIZED,
        f"POST /mcp without a token answers {response.status_code}",
        remedy="It has to be 401. With 503 the server is not ready; with 403 or 404 something in front of it answers.",
    )
    found = re.search(r'resource_metadata="([^"]+)"', response.headers.get("www-authenticate", ""))
    address = found.group(1) if found else ""
    expect(
        address == f"{target.base_url}{METADATA}",
        f"the challenge leads to {address or 'nowhere'}, and not to {target.base_url}{METADATA}",
        remedy=ADDRESS,
    )
    return "401, leads to the metadata"


def server_metadata(target: Target) -> str:
    """Of the server itself where it signs people in, else of Entra ID."""
    if not target.signs_people_in:
        return _entra_metadata(target)
    document = target.document(SERVER_METADATA)
    expect(
        str(document.get("issuer", "")).rstrip("/") == target.base_url,
        f"the issuer is {document.get('issuer')}, and not {target.base_url}",
        remedy=ADDRESS,
    )
    for name, path in ENDPOINTS.items():
        expect(document.get(name) == f"{target.base_url}{path}", f"{name} is {document.get(name)}", remedy=ADDRESS)
    _expect_word(document, "code_challenge_methods_supported", "S256")
    _expect_word(document, "response_types_supported", "code")
    _expect_word(document, "grant_types_supported", "refresh_token")
    asserted = ID_JAG in words(document, "authorization_grant_profiles_supported")
    if asserted:
        _expect_word(document, "grant_types_supported", JWT_BEARER)
    return f"issuer, endpoints, PKCE S256{', identity assertions' if asserted else ''}"


def _entra_metadata(target: Target) -> str:
    issuer = target.authorization_server.rstrip("/")
    document = target.document(f"{issuer}/.well-known/openid-configuration")
    expect(
        document.get("jwks_uri") and document.get("authorization_endpoint"),
        f"{issuer} has no metadata of Entra ID",
        remedy="Check ENTRA_TENANT_ID and ENTRA_AUTHORITY.",
    )
    return f"Entra ID at {urlsplit(issuer).netloc}"


def _expect_word(document: dict[str, Any], name: str, word: str) -> None:
    expect(word in words(document, name), f"{name} lacks {word}", remedy="Is another server answering?")
