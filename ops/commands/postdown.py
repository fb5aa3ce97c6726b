"""`python -m ops postdown`: what `azd down` leaves behind; azd runs it afterwards.

Threat: purging is for ever. So it needs --purge, and it is refused while the deployment is still there. A registration
that this deployment did not make, which has no unique name here, is never touched; nor is a vault whose name is not
known here, or that was in another resource group.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops import environment as inputs
from ops.command import Command, Context
from ops.deployment import GROUP_OF, GROUP_VERSION, KEPT, resource_group
from ops.errors import ApiError, MissingInputsError, OpsError
from ops.leftovers import DeletedVaults, living_vault, unless_refused

if TYPE_CHECKING:
    import argparse

GROUP_IS_GONE = "ResourceGroupNotFound"
"""The one 404 that says so; a mistyped subscription has one as well."""


def run(context: Context) -> int:
    """Lists what is left, and purges it if that was asked for; run again, it finds nothing."""
    purge = context.options.purge
    if not purge and not context.environment.has(inputs.SUBSCRIPTION):
        context.report.note("nothing to look at", "azd knows of no subscription in this environment")
        return 0
    context.environment.require(inputs.SUBSCRIPTION)
    if purge:
        _refuse_while_deployed(context)
    context.report.heading("What is left of the deployment")
    found = unless_refused(
        context.report, lambda: _application(context, purge=purge), command="python -m ops postdown --purge"
    )
    found += _vaults(context, purge=purge)
    if not found:
        context.report.ok("nothing", "no registration and no deleted vault of this deployment")
    elif not purge:
        context.report.text(
            "A deleted registration and a deleted vault keep their names, which blocks the next `azd up` under the\n"
            "same ones. To delete them for good: python -m ops postdown --purge"
        )
    return 1 if purge and context.report.findings else 0


def _refuse_while_deployed(context: Context) -> None:
    """Looks for the group, for that of the vault's id, and for the vault: each name may be mistyped or out of date.

    Raises:
        OpsError: one of them is there.
        ApiError: Azure does not say that the group is gone; of a subscription, too, it answers 404.
    """
    environment, arm = context.environment, context.services.arm
    group, subscription = resource_group(environment), environment[inputs.SUBSCRIPTION]
    if not group:
        raise MissingInputsError([inputs.RESOURCE_GROUP.name])
    places = {(subscription, group): inputs.RESOURCE_GROUP.name}
    if found := GROUP_OF.match(environment.get(inputs.VAULT_ID)):
        places.setdefault((found[1], found[2]), inputs.VAULT_ID.name)
    for (where, name), said_by in places.items():
        try:
            arm.get(f"/subscriptions/{where}/resourceGroups/{name}", **{"api-version": GROUP_VERSION})
        except ApiError as error:
            if error.code != GROUP_IS_GONE:
                raise
            continue
        raise OpsError(
            f"The resource group {name} is still there ({said_by}), so nothing was purged. Run `azd down` first; when "
            "the group is to stay, delete in it what is to go, and purge with `az keyvault purge` and in the Entra "
            "admin center."
        )
    vault = environment.get(inputs.VAULT_NAME)
    if vault and (alive := living_vault(arm, vault, subscription=subscription)):
        raise OpsError(
            f"The vault {alive} is still there ({inputs.VAULT_NAME.name}), so nothing was purged. Is each of the names "
            "of the deployment that is gone?"
        )


def _application(context: Context, *, purge: bool) -> int:
    """The registration: Azure's resource groups do not contain it, so taking the deployment down may leave it alive."""
    unique_name = context.environment.get(inputs.APP_UNIQUE_NAME)
    if not unique_name:
        context.report.note(
            "registration", "is not this deployment's own (ENTRA_APP_UNIQUE_NAME is not set): left alone"
        )
        return 0
    directory = context.services.directory
    alive = directory.find_application(unique_name=unique_name)
    if alive is not None:
        context.report.note("registration", f"{alive.name} ({alive.client_id}) is still there")
        if purge and directory.delete_application(alive):
            context.report.ok("registration", "deleted")
    deleted = directory.deleted_applications(
        alive if purge else None, client_id=context.environment.get(inputs.CLIENT_ID), unique_name=unique_name
    )
    for application in deleted:
        if not purge:
            context.report.note("registration", f"{application.name} ({application.client_id}) is deleted, not purged")
        elif directory.purge_application(application):
            context.report.ok("registration", f"{application.name} ({application.client_id}) purged")
    return len(deleted) + (alive is not None)


def _vaults(context: Context, *, purge: bool) -> int:
    environment, report = context.environment, context.report
    name, group = environment.get(inputs.VAULT_NAME), resource_group(environment)
    vaults = DeletedVaults(context.services.arm, subscription=environment[inputs.SUBSCRIPTION])
    if not name:
        similar = vaults.similar(group=group, environment=environment.get(inputs.ENVIRONMENT_NAME))
        for vault in similar:
            report.note(
                "vault",
                f"{vault.name} is deleted and may be this deployment's, whose vault is not known here: left alone.\n"
                f"If it is: python -m ops postdown --purge --azure-key-vault-name {vault.name}",
            )
        return len(similar)
    vault = vaults.named(name)
    if vault is None:
        return 0
    if not vault.was_in(group):
        report.note(
            "vault", f"{vault.name} was in the resource group {vault.group}, not in this deployment's: left alone"
        )
    elif vault.protected:
        report.finding(
            "vault",
            f"{vault.name} is deleted and protected against purging; it goes by itself on {vault.gone_on}",
            remedy=f"use another name for azd's environment until then, or get it back:\n{vault.recovery}",
        )
    elif not purge:
        report.note("vault", f"{vault.name} is deleted, not purged")
    elif vaults.purge(vault):
        report.ok("vault", f"{vault.name} purged")
    return 1


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--purge", action="store_true", help="delete for good what is left; nothing brings it back")


COMMAND = Command(
    name="postdown",
    summary="show what `azd down` left, and purge it if asked to; azd's hook",
    description=(
        "Shows which registration and which deleted vault are left. With --purge both are deleted for good, so that "
        "the next `azd up` can use their names. It is refused while the resource group or the vault is there. Running "
        "it again does nothing."
    ),
    takes=(*KEPT, inputs.VAULT_ID, inputs.GRAPH_URL, inputs.ARM_URL),
    add_arguments=_add_arguments,
    after_down=True,
    run=run,
)
