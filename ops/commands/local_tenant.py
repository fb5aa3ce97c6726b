"""`python -m ops local-tenant`: all that `make run` needs in a real tenant, in one command, and its undo.

Threat: the undo deletes for good. It goes by names that derive from the subscription and who is signed in, and leaves a
resource group that holds anything else.
"""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from ops import environment as inputs
from ops.client_secret import ClientSecret
from ops.clouds import PUBLIC
from ops.command import Command, Context
from ops.errors import OpsError
from ops.leftovers import unless_refused
from ops.local_tenant import LocalRegistration, LocalSettings, LocalVault, Names
from ops.signing_key import ensure_signing_key
from ops.vault import VaultResource

if TYPE_CHECKING:
    import argparse


def run(context: Context) -> int:
    """Creates what is missing and writes the settings; with --undo takes all of it away."""
    # What azd knows of a deployment is not about the local server.
    own = context.environment.with_values({inputs.ENTRA_TENANT.name: context.environment[inputs.TENANT]})
    with closing(context.services.of(own)) as services:
        inside = replace(context, environment=own, services=services)
        return _undo(inside) if context.options.undo else _make(inside)


def _make(context: Context) -> int:
    environment, services, report = context.environment, context.services, context.report
    environment.require(inputs.LOCATION)
    tags = environment.pairs(inputs.RESOURCE_TAGS)
    names, kind = _person(context)
    registration = LocalRegistration(services.directory, names=names)
    before, settings = registration.find(), LocalSettings(context.root)
    settings.refuse_anothers(before.client_id if before is not None else "")
    report.heading("Registration and vault")
    vault = LocalVault(services.arm, names=names)
    vault.ensure(tenant=environment[inputs.TENANT], location=environment[inputs.LOCATION], kind=kind, tags=tags)
    report.ok("vault", f"{names.vault} in {names.group}; you may read its secrets")
    permissions = json.loads((context.root / "infra" / "graph-permissions.json").read_text("utf-8"))
    application = registration.ensure(
        before, base_url=settings.base_url, scopes=settings.scopes, permissions=permissions
    )
    report.ok("registration", f"{application.name} ({application.client_id})")
    secrets = VaultResource(services.arm, vault_id=names.vault_id)
    ensure_signing_key(context, secrets)
    known = {inputs.CLIENT_ID.name: application.client_id, inputs.APP_OBJECT_ID.name: application.object_id}
    ClientSecret(replace(context, environment=environment.with_values(known)), secrets).ensure()
    settings.write(_settings(context, client_id=application.client_id, vault=names.vault))
    report.ok("local.settings.json", "written")
    report.text(
        "\nRun `az login`, so that the server reads the vault as you; then `make run`.\n"
        f"A new role counts after some minutes. To take all of it away: {_undo_command(context)}"
    )
    return 0


def _settings(context: Context, *, client_id: str, vault: str) -> dict[str, str]:
    cloud = context.services.cloud
    values = {
        # What was made is a registration with a secret.
        "AUTH_MODE": "proxy",
        "ENTRA_TENANT_ID": context.environment[inputs.TENANT],
        "ENTRA_CLIENT_ID": client_id,
        "KEY_VAULT_URL": f"https://{vault}.{cloud.vault_suffix}",
    }
    elsewhere = {"ENTRA_AUTHORITY": cloud.authority, "GRAPH_BASE_URL": cloud.graph}
    return values if cloud == PUBLIC else values | elsewhere


def _undo(context: Context) -> int:
    services, report = context.services, context.report
    names, _ = _person(context)
    registration = LocalRegistration(services.directory, names=names)
    settings = LocalSettings(context.root)
    report.heading("What the local server had in the tenant")
    found = registration.find()
    # The settings first: they name what is about to go.
    if found is not None and settings.belongs_to(found.client_id):
        settings.remove()
        report.ok("local.settings.json", "removed")

    def remove() -> int:
        report.ok("registration", "deleted for good" if registration.remove() else "there was none")
        return 0

    refused = unless_refused(report, remove, command=_undo_command(context))
    removed = LocalVault(services.arm, names=names).remove()
    report.ok("vault", f"{names.vault} deleted for good" if removed else "there was none")
    return refused


def _undo_command(context: Context) -> str:
    """The undo as somebody can run it in a new shell."""
    items = (inputs.TENANT, inputs.SUBSCRIPTION, *(() if context.services.cloud == PUBLIC else inputs.ENDPOINTS))
    options = [f" {item.flag} {context.environment[item]}" for item in items if context.environment.has(item)]
    return "python -m ops local-tenant --undo" + "".join(options)


def _person(context: Context) -> tuple[Names, str]:
    """The names that follow from who is signed in, and what kind of principal that is."""
    arm = context.services.arm
    claims = arm.tokens.claims(arm.scope)
    person = str(claims.get("oid") or "")
    if not person:
        raise OpsError("The token does not say who is signed in. Sign in with `az login`, then run the command again.")
    kind = "ServicePrincipal" if claims.get("idtyp") == "app" else "User"
    return Names(subscription=context.environment[inputs.SUBSCRIPTION], person=person), kind


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--undo", action="store_true", help="delete for good what this command made")


COMMAND = Command(
    name="local-tenant",
    summary="let `make run` use a real tenant: registration, vault, local.settings.json",
    description=(
        "Creates a registration with the scopes of local.settings.sample.json, a vault with both secrets, which you "
        "may read, and local.settings.json that names them, with AUTH_MODE=proxy. One set for each person and "
        "subscription; running it again puts right what is there. With --undo all of it is deleted for good."
    ),
    needs=(inputs.TENANT, inputs.SUBSCRIPTION),
    takes=(inputs.LOCATION, inputs.SECRET_DAYS, inputs.EXPIRY_DATE, inputs.RESOURCE_TAGS, *inputs.ENDPOINTS),
    add_arguments=_add_arguments,
    examples=(
        "examples:\n"
        "  python -m ops local-tenant --azure-tenant-id <tenant> --azure-subscription-id <subscription> "
        "--azure-location swedencentral\n"
        "  python -m ops local-tenant --undo --azure-tenant-id <tenant> --azure-subscription-id <subscription>"
    ),
    run=run,
)
