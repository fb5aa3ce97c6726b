"""`python -m ops postprovision`: what infrastructure code cannot do; azd runs it after every provision."""

from __future__ import annotations

import shlex

from ops.client_secret import KEY_ID, PREVIOUS_KEY_ID, ClientSecret, usable
from ops.command import Command, Context
from ops.deployment import remember
from ops.doctor.facts import auth_mode_of
from ops.environment import (
    APP_OBJECT_ID,
    AUTH_MODE,
    CLIENT_ID,
    DEFAULT_AUTH_MODE,
    ENDPOINTS,
    ENTRA_TENANT,
    EXPIRY_DATE,
    FUNCTION_APP,
    SECRET_DAYS,
    TENANT,
    VAULT_ID,
)
from ops.signing_key import ensure_signing_key
from ops.vault import ARM_VERSION, CLIENT_SECRET, VaultResource


def run(context: Context) -> int:
    """Sees to both secrets; running it again changes nothing."""
    remember(context.environment, root=context.root)
    vault = VaultResource(context.services.arm, vault_id=context.environment[VAULT_ID])
    context.report.heading(f"Secrets in {vault.name}")
    ensure_signing_key(context, vault)
    mode = auth_mode_of(context)
    if mode == DEFAULT_AUTH_MODE:
        ClientSecret(context, vault).ensure()
    else:
        context.report.ok(CLIENT_SECRET, f"not needed: AUTH_MODE is {mode}")
        _show_unused_secret(context, vault)
    return 0


def _show_unused_secret(context: Context, vault: VaultResource) -> None:
    """One of an earlier mode is still good. A person ends it: servers of that mode may run for a while yet."""
    kept = vault.find(CLIENT_SECRET)
    if kept is None or not usable(kept, context.now()):
        return
    client_id = context.environment.get(CLIENT_ID, "<client id>")
    own = [kept.tags[tag] for tag in (KEY_ID, PREVIOUS_KEY_ID) if kept.tags.get(tag)]
    commands = [f"az ad app credential delete --id {client_id} --key-id {shlex.quote(key_id)}" for key_id in own]
    if not own:
        commands.append("ask whoever made it to remove it from the registration")
    address = f"{context.services.cloud.arm}{vault.vault_id}/secrets/{CLIENT_SECRET}?api-version={ARM_VERSION}"
    body = '{"properties": {"attributes": {"enabled": false}}}'
    commands.append(f"az rest --method PATCH --url {shlex.quote(address)} --body {shlex.quote(body)}")
    listed = "\n".join(commands)
    context.report.note(
        CLIENT_SECRET, f"one of an earlier AUTH_MODE is still good. Once no server needs it, end it:\n{listed}"
    )


COMMAND = Command(
    name="postprovision",
    summary="put the client secret and the signing key into the vault; azd's hook",
    description=(
        "Creates the client secret of the registration and puts it into the vault, or leaves a good one as it is; the "
        "same for the signing key. Only metadata is read, no secret is shown, and running it again changes nothing. "
        "With another AUTH_MODE than proxy, by default the app's own, there is no client secret. The names that azd "
        "forgets at `azd down` are kept in .azure/<environment>/deployment.json."
    ),
    needs=(TENANT, VAULT_ID),
    takes=(CLIENT_ID, APP_OBJECT_ID, AUTH_MODE, FUNCTION_APP, SECRET_DAYS, EXPIRY_DATE, ENTRA_TENANT, *ENDPOINTS),
    run=run,
)
