"""The secrets in the vault, by their metadata, compared with what the registration lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops.attempt import FoundError, Note, attempt
from ops.client_secret import KEY_ID, renewal_of
from ops.environment import VAULT_ID
from ops.vault import CLIENT_SECRET, PLACEHOLDER, SIGNING_KEY, VaultResource

if TYPE_CHECKING:
    from ops.command import Context
    from ops.doctor.facts import Facts

RENEW = "python -m ops postprovision"


def examine(context: Context, facts: Facts) -> None:
    """Both secrets."""
    vault = VaultResource(context.services.arm, vault_id=context.environment[VAULT_ID])
    attempt(context.report, SIGNING_KEY, lambda: _signing_key(vault))
    if facts.auth_mode == "proxy":
        attempt(context.report, CLIENT_SECRET, lambda: _client_secret(context, facts, vault))


def _signing_key(vault: VaultResource) -> str:
    key = vault.find(SIGNING_KEY)
    if key is None:
        raise FoundError(f"{vault.name} has none", remedy=RENEW)
    if not key.enabled:
        raise FoundError(
            "its newest version is disabled",
            remedy=f"az keyvault secret set-attributes --vault-name {vault.name} --name {SIGNING_KEY} --enabled true\n"
            "or add one: python -m ops rotate signing-key",
        )
    return f"made {key.created:%Y-%m-%d}"


def _client_secret(context: Context, facts: Facts, vault: VaultResource) -> str | None:
    now, kept = context.now(), vault.find(CLIENT_SECRET)
    if kept is None or kept.content_type == PLACEHOLDER:
        raise FoundError(f"{vault.name} has none yet (the server does not start)", remedy=RENEW)
    if not kept.enabled:
        raise FoundError(f"is disabled in {vault.name}", remedy=RENEW)
    if kept.expires is not None and kept.expires <= now:
        raise FoundError(f"expired on {kept.expires:%Y-%m-%d} (AADSTS7000222)", remedy=RENEW)
    key_id = kept.tags.get(KEY_ID)
    if not key_id:
        return Note("was put into the vault by hand; renew it before it expires")
    if facts.application is None:
        return None
    listed = facts.application.password(key_id)
    if listed is None:
        raise FoundError(f"the registration does not list the one in {vault.name} (AADSTS7000215)", remedy=RENEW)
    if listed.ends <= now:
        raise FoundError(f"expired on {listed.ends:%Y-%m-%d} (AADSTS7000222)", remedy=RENEW)
    if renewal_of(listed) <= now:
        raise FoundError(f"expires on {listed.ends:%Y-%m-%d}", remedy=RENEW)
    return f"good until {listed.ends:%Y-%m-%d}"
