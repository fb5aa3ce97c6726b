"""The secrets in the vault, by their metadata, compared with what the registration lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops.client_secret import KEY_ID, renewal_of
from ops.environment import VAULT_ID
from ops.vault import CLIENT_SECRET, PLACEHOLDER, SIGNING_KEY, VaultResource

if TYPE_CHECKING:
    from ops.command import Context
    from ops.doctor.facts import Facts
    from ops.vault import Version

RENEW = "python -m ops postprovision"


def examine(context: Context, facts: Facts) -> None:
    """Both secrets."""
    vault = VaultResource(context.services.arm, vault_id=context.environment[VAULT_ID])
    key = vault.find(SIGNING_KEY)
    if key is None:
        context.report.finding(SIGNING_KEY, f"{vault.name} has none", remedy=RENEW)
    elif not key.enabled:
        context.report.finding(
            SIGNING_KEY,
            "its newest version is disabled",
            remedy=f"az keyvault secret set-attributes --vault-name {vault.name} --name {SIGNING_KEY} --enabled true\n"
            "or add one: python -m ops rotate signing-key",
        )
    else:
        context.report.ok(SIGNING_KEY, f"made {key.created:%Y-%m-%d}")
    if facts.auth_mode == "proxy":
        _client_secret(context, facts, vault, vault.find(CLIENT_SECRET))


def _client_secret(context: Context, facts: Facts, vault: VaultResource, kept: Version | None) -> None:
    problem = _problem(context, facts, kept)
    if problem:
        context.report.finding(CLIENT_SECRET, problem.format(vault=vault.name), remedy=RENEW)
    elif kept is not None and not kept.tags.get(KEY_ID):
        context.report.note(CLIENT_SECRET, "was put into the vault by hand; renew it before it expires")


def _problem(context: Context, facts: Facts, kept: Version | None) -> str:
    """What is wrong with it; empty, and reported as good, when nothing is."""
    now = context.now()
    if kept is None or kept.content_type == PLACEHOLDER:
        return "{vault} has none yet (the server does not start)"
    if not kept.enabled:
        return "is disabled in {vault}"
    if kept.expires is not None and kept.expires <= now:
        return f"expired on {kept.expires:%Y-%m-%d} (AADSTS7000222)"
    if facts.application is None or not kept.tags.get(KEY_ID):
        return ""
    listed = facts.application.password(kept.tags[KEY_ID])
    if listed is None:
        return "the registration does not list the one in {vault} (AADSTS7000215)"
    if listed.ends <= now:
        return f"expired on {listed.ends:%Y-%m-%d} (AADSTS7000222)"
    if renewal_of(listed) <= now:
        return f"expires on {listed.ends:%Y-%m-%d}"
    context.report.ok(CLIENT_SECRET, f"good until {listed.ends:%Y-%m-%d}")
    return ""
