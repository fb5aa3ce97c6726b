"""Who called, found again when the task runs: minutes or hours later, on another instance.

Threat: a task acts with the caller's permissions. So the caller is verified for every run, as for a call: a sign-in
that was revoked meanwhile ends the task, and a role that was taken away is gone once Entra ID's token is a new one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastmcp.server.auth import MultiAuth
from fastmcp.server.dependencies import get_access_token

from entra_mcp.auth.provider import EntraProvider
from entra_mcp.ownership import full_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastmcp.server.auth import AccessToken, AuthProvider

SIGN_IN = "sign_in"
SCOPES = "scopes"
TOKEN = "token"  # noqa: S105 - the name of a field


class Callers:
    """Writes down who calls, and finds them again."""

    def __init__(self, auth: AuthProvider | None) -> None:
        provider = auth.server if isinstance(auth, MultiAuth) else auth
        self._auth = auth
        self._sign_ins = provider.sign_ins if isinstance(provider, EntraProvider) else None

    def reference(self) -> dict[str, str]:
        """What the running request's caller is found by later; it is empty where nobody has to sign in.

        A sign-in at this server is named by its id. Else it is the token itself, which is good until it expires.
        """
        token = get_access_token()
        if token is None:
            return {}
        sign_in = self._sign_ins.current() if self._sign_ins else None
        return {SCOPES: " ".join(token.scopes), **({SIGN_IN: sign_in} if sign_in else {TOKEN: token.token})}

    async def find(self, reference: Mapping[str, str], *, seconds: float) -> AccessToken | None:
        """Returns a verified token of the caller for a run of so many seconds; None when there is none any more.

        That of a sign-in has no scope that the call had not: all clients are one application to Entra ID, whose token
        has what the person allowed any of them.

        Raises:
            DependencyError: whether there is one cannot be found out now.
        """
        if TOKEN in reference and self._auth is not None:
            return await self._auth.verify_token(reference[TOKEN])
        if SIGN_IN not in reference or self._sign_ins is None:
            return None
        found = await self._sign_ins.caller(reference[SIGN_IN], seconds=seconds)
        if found is None:
            return None
        scopes = [scope for scope in found.scopes if scope in reference[SCOPES].split()]
        return found.model_copy(update={"scopes": scopes, "claims": {**found.claims, "scp": " ".join(scopes)}})


def owner_of_request() -> str:
    """The name of who calls, a person or an application; `/` where nobody has to sign in."""
    token = get_access_token()
    claims: Mapping[str, Any] = token.claims if token else {}
    return full_name(claims.get("tid", ""), claims.get("oid", ""))
