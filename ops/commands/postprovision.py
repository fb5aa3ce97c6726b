"""`python -m ops postprovision`: what infrastructure code cannot do; azd runs it after every provision."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops.client_secret import KEY_ID, PREVIOUS_KEY_ID, ClientSecret, days_of, wants_client_secret
from ops.command import Command
from ops.deployment import remember
from ops.environment import (
    APP_OBJECT_ID,
    AUTH_MODE,
    CLIENT_ID,
    ENDPOINTS,
    ENTRA_TENANT,
    EXPIRY_DATE,
    SECRET_DAYS,
    TENANT,
    VAULT_ID,
)
from ops.graph import Directory
from ops.signing_key import add_version, expiry_of
from ops.token_endpoint import TokenEndpoint
from ops.vault import ARM_VERSION, CLIENT_SECRET, PLACEHOLDER, SIGNING_KEY, VaultResource

if TYPE_CHECKING:
    from ops.command import Context

NO_REGISTRATION = "00000000-0000-0000-0000-000000000000"
"""Stands for a registration that is still to be made by somebody else (docs/deploy.md)."""


def run(context: Context) -> int:
    """Sees to both secrets; running it again changes nothing."""
    remember(context.environment, root=context.root, name=context.options.environment)
    vault = vault_resource(context)
    context.report.heading(f"Secrets in {vault.name}")
    ensure_signing_key(context, vault)
    mode = context.environment.get(AUTH_MODE, "proxy")
    if not wants_client_secret(context.environment):
        context.report.ok(CLIENT_SECRET, f"not needed: AUTH_MODE is {mode}")
        _show_unused_secret(context, vault)
        return 0
    ensure_client_secret(context, vault)
    return 0


def _show_unused_secret(context: Context, vault: VaultResource) -> None:
    """One of an earlier mode is still good. A person ends it: servers of that mode may run for a while yet."""
    kept = vault.find(CLIENT_SECRET)
    if kept is None or not kept.enabled or kept.content_type == PLACEHOLDER:
        return
    if kept.expires is not None and kept.expires <= context.now():
        return
    client_id = context.environment.get(CLIENT_ID, "<client id>")
    own = [kept.tags[tag] for tag in (KEY_ID, PREVIOUS_KEY_ID) if kept.tags.get(tag)]
    commands = [f"az ad app credential delete --id {client_id} --key-id {key_id}" for key_id in own]
    if not own:
        commands.append("ask whoever made it to remove it from the registration")
    address = f"{context.services.cloud.arm}{vault.vault_id}/secrets/{CLIENT_SECRET}?api-version={ARM_VERSION}"
    body = '{"properties": {"attributes": {"enabled": false}}}'
    commands.append(f"az rest --method PATCH --url '{address}' --body '{body}'")
    listed = "\n".join(commands)
    context.report.note(
        CLIENT_SECRET, f"one of an earlier AUTH_MODE is still good. Once no server needs it, end it:\n{listed}"
    )


def vault_resource(context: Context) -> VaultResource:
    """The deployment's vault, through Azure Resource Manager."""
    return VaultResource(context.services.arm, vault_id=context.environment[VAULT_ID])


def ensure_client_secret(context: Context, vault: VaultResource, *, force: bool = False) -> None:
    """Puts together what sees to the client secret, and lets it."""
    if context.environment[CLIENT_ID] == NO_REGISTRATION:
        context.report.note(
            CLIENT_SECRET,
            "there is no registration yet: whoever creates it needs to know what this prints:\n"
            "azd env get-value ENTRA_HAND_OFF",
        )
        return
    services = context.services
    secret = ClientSecret(
        directory=Directory(services.graph, now=context.now),
        vault=vault,
        token_endpoint=TokenEndpoint(
            authority=services.cloud.authority,
            tenant_id=services.registration_tenant,
            graph_scope=services.cloud.graph_scope,
            http=services.http,
            patience=services.patience,
        ),
        report=context.report,
        patience=services.patience,
        now=context.now,
        days=days_of(context.environment),
    )
    # Only a registration of the infrastructure's own has an object id among azd's values.
    secret.ensure(
        client_id=context.environment[CLIENT_ID], object_id=context.environment.get(APP_OBJECT_ID), force=force
    )


def ensure_signing_key(context: Context, vault: VaultResource) -> None:
    """Creates the first key where the infrastructure has not; never a second one."""
    kept = vault.find(SIGNING_KEY)
    if kept is None:
        add_version(vault, expires=expiry_of(context.environment, now=context.now()))
        context.report.ok(SIGNING_KEY, "made")
    elif not kept.enabled:
        context.report.note(
            SIGNING_KEY,
            "its newest version is disabled; `python -m ops rotate signing-key` adds one if no other is enabled",
        )
    else:
        context.report.ok(SIGNING_KEY, f"there since {kept.created:%Y-%m-%d}")


COMMAND = Command(
    name="postprovision",
    summary="put the client secret and the signing key into the vault; azd's hook",
    description=(
        "Creates the client secret of the registration and puts it into the vault, or leaves a good one as it is; the "
        "same for the signing key. Only metadata is read, no secret is shown, and running it again changes nothing. "
        "With another AUTH_MODE than proxy there is no client secret. The names that azd forgets at `azd down` are "
        "kept in .azure/<environment>/deployment.json."
    ),
    needs=(TENANT, VAULT_ID),
    takes=(CLIENT_ID, APP_OBJECT_ID, AUTH_MODE, SECRET_DAYS, EXPIRY_DATE, ENTRA_TENANT, *ENDPOINTS),
    run=run,
)
