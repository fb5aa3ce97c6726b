"""The issuers of identity assertions: whether each publishes itself, and keys that the server can verify with."""

from __future__ import annotations

import shlex
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx2

from ops.attempt import FoundError, attempt, expect
from ops.doctor.settings import faults_of, how_to_set
from ops.documents import entries, part
from ops.environment import words_of

if TYPE_CHECKING:
    from ops.command import Context
    from ops.doctor.facts import Facts

SETTING = "MCP_IDENTITY_ASSERTION_ISSUERS"


def examine(context: Context, facts: Facts) -> None:
    """Each issuer of the setting; where its value is not valid, the examination of the settings says so."""
    if any(fault.setting == SETTING for fault in faults_of(facts.settings)):
        return
    change = how_to_set(context, facts, SETTING, "<issuers>")
    for issuer in words_of(facts.settings.get(SETTING, "")):
        attempt(context.report, "identity assertions", partial(_keys, context.services.http, issuer, change=change))


def _keys(http: httpx2.Client, issuer: str, *, change: str) -> str:
    """Reads what the issuer says of itself.

    It is shown as a literal, and in no command: it comes from elsewhere.
    """
    document_url = address = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
    remedy = f"fix it at the identity provider, or leave the issuer out:\n{change}"
    try:
        document = _fetched(http, address)
        expect(
            document.get("issuer") == issuer,
            f"{issuer}: its document names the issuer {document.get('issuer')!r}",
            remedy=f"write the issuer letter by letter:\n{change}",
        )
        address = str(document.get("jwks_uri"))
        expect(urlsplit(address).scheme == "https", f"{issuer}: its jwks_uri {address!r} is not https", remedy=remedy)
        keys = entries(_fetched(http, address), "keys")
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
        raise FoundError(
            f"{issuer}: {address!r} cannot be read from here ({type(error).__name__})",
            remedy=f"curl -i {shlex.quote(document_url)}\nor {remedy}",
        ) from error
    expect(any(map(_verifies, keys)), f"{issuer}: {address!r} has no RS256 key with a kid", remedy=remedy)
    return f"{issuer} has keys for RS256"


def _fetched(http: httpx2.Client, address: str) -> dict[str, Any]:
    return part(http.get(address).raise_for_status().json())


def _verifies(key: dict[str, Any]) -> bool:
    return bool(key.get("kid")) and key.get("kty") == "RSA" and key.get("alg", "RS256") == "RS256"
