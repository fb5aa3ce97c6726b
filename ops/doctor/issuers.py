"""The issuers of identity assertions: whether each publishes itself, and keys that the server can verify with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx2

from ops.doctor.settings import faults_of, how_to_set
from ops.documents import entries, part

if TYPE_CHECKING:
    from ops.command import Context
    from ops.doctor.facts import Facts

SETTING = "MCP_IDENTITY_ASSERTION_ISSUERS"


def examine(context: Context, facts: Facts) -> None:
    """Each issuer of the setting; where its value is not valid, the examination of the settings says so."""
    if any(fault.setting == SETTING for fault in faults_of(facts.settings)):
        return
    for issuer in facts.assertion_issuers:
        problem, advice = _problem(context.services.http, issuer)
        if problem:
            remedy = f"{advice}\n{how_to_set(context, facts, SETTING, '<issuers>')}"
            context.report.finding("identity assertions", f"{issuer}: {problem}", remedy=remedy)
        else:
            context.report.ok("identity assertions", f"{issuer} has keys for RS256")


def _problem(http: httpx2.Client, issuer: str) -> tuple[str, str]:
    """What is wrong, and what to do before the setting is changed; empty when nothing is.

    What the issuer says of itself is shown as a literal, and in no command: it comes from elsewhere.
    """
    document_url = address = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
    provider = "fix it at the identity provider, or leave the issuer out:"
    try:
        document = _fetched(http, address)
        if document.get("issuer") != issuer:
            return f"its document names the issuer {document.get('issuer')!r}", "write the issuer letter by letter:"
        address = str(document.get("jwks_uri"))
        if urlsplit(address).scheme != "https":
            return f"its jwks_uri {address!r} is not https", provider
        keys = entries(_fetched(http, address), "keys")
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
        return (
            f"{address!r} cannot be read from here ({type(error).__name__})",
            f"curl -i {document_url}\nor {provider}",
        )
    return ("", "") if any(_verifies(key) for key in keys) else (f"{address!r} has no RS256 key with a kid", provider)


def _fetched(http: httpx2.Client, address: str) -> dict[str, Any]:
    return part(http.get(address).raise_for_status().json())


def _verifies(key: dict[str, Any]) -> bool:
    return bool(key.get("kid")) and key.get("kty") == "RSA" and key.get("alg", "RS256") == "RS256"
