"""Tokens of the person or pipeline that runs a command: who is signed in to azd, else to the Azure CLI.

Threat: these tokens may create secrets. They go to the addresses of `clouds.py` alone and into no message.
"""

from __future__ import annotations

import asyncio
import re
import time
from typing import TYPE_CHECKING, Any, override

import jwt
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import ClientAuthenticationError

from ops.aadsts import AADSTS, codes_in
from ops.errors import SignInError

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken, TokenCredential

PROCESS_SECONDS = 60
RENEW_SECONDS = 300


class Tokens:
    """One tenant's tokens, kept until shortly before they expire."""

    def __init__(self, credential: TokenCredential) -> None:
        self._credential = credential
        self._kept: dict[str, AccessToken] = {}

    def get(self, scope: str) -> str:
        """A token for the scope.

        Raises:
            SignInError: nobody is signed in, or Entra ID refuses; AADSTS codes are explained.
        """
        kept = self._kept.get(scope)
        if kept is None or kept.expires_on - time.time() < RENEW_SECONDS:
            try:
                kept = self._credential.get_token(scope)
            except ClientAuthenticationError as error:
                raise _sign_in_error(scope, error) from None
            self._kept[scope] = kept
        return kept.token

    def claims(self, scope: str) -> dict[str, Any]:
        """What the token says of its owner, for messages only; empty when it cannot be read."""
        try:
            return jwt.decode(self.get(scope), options={"verify_signature": False})
        except jwt.InvalidTokenError:
            return {}


class AsyncCredential(AsyncTokenCredential):
    """A credential of the command line for the server's own code, which is asynchronous."""

    def __init__(self, credential: TokenCredential) -> None:
        self._credential = credential

    @override
    async def get_token(self, *scopes: str, **kwargs: Any) -> AccessToken:
        return await asyncio.to_thread(self._credential.get_token, *scopes, **kwargs)


def developer_credential(tenant_id: str) -> TokenCredential:
    """Whoever is signed in to azd, else to the Azure CLI; a CI job signs in to azd with its federated credential.

    Without a tenant it is the one that the account is signed in to.
    No other kind of credential is tried: which account changes a registration must be plain.
    """
    from azure.identity import AzureCliCredential, AzureDeveloperCliCredential, ChainedTokenCredential

    return ChainedTokenCredential(
        AzureDeveloperCliCredential(tenant_id=tenant_id, process_timeout=PROCESS_SECONDS),
        AzureCliCredential(tenant_id=tenant_id, process_timeout=PROCESS_SECONDS),
    )


def _sign_in_error(scope: str, error: ClientAuthenticationError) -> SignInError:
    resource = scope.removesuffix("/.default")
    said = re.sub(r"\s+", " ", error.message or "").strip()[:600]
    known = [code for code in codes_in(said) if code in AADSTS]
    explained = [f"AADSTS{code}: {AADSTS[code].means} {AADSTS[code].remedy}" for code in known]
    remedy = "\n".join(explained) or "Sign in with `azd auth login` (in a pipeline: see docs/deploy.md) or `az login`."
    return SignInError(resource=resource, said=said, remedy=remedy)
