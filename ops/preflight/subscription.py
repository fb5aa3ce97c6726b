"""What the subscription has to allow: region, providers, the rights of who deploys, policies, free names and groups."""

from __future__ import annotations

import shlex
from fnmatch import fnmatchcase
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from ops.attempt import FoundError, Note, attempt, expect
from ops.deployment import GROUP_OF, GROUP_VERSION, resource_group
from ops.documents import part
from ops.environment import (
    ALERT_EMAIL,
    DIAGNOSTICS_WORKSPACE,
    ENDPOINTS_SUBNET,
    ENVIRONMENT_NAME,
    FUNCTIONS_SUBNET,
    LOCATION,
    PRIVATE_DNS_ZONES,
    PRIVATE_NETWORK,
    RESOURCE_LOCK,
    SUBSCRIPTION,
    TENANT,
    VAULT_ID,
    VAULT_NAME,
)
from ops.errors import ApiError
from ops.leftovers import ENVIRONMENT_TAG, NAME, DeletedVaults
from ops.preflight import policies
from ops.preflight.policies import plain
from ops.vault import ARM_VERSION

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from ops.command import Context
    from ops.environment import Environment
    from ops.http import Api
    from ops.leftovers import DeletedVault

LOOKS_AT = "the subscription (resource providers, region, your rights, policies, deleted vaults)"
"""What a finding names that cannot be looked at without a token."""

DELEGATE = "Microsoft.App"
WEB = "Microsoft.Web"
VAULTS = "Microsoft.KeyVault"
PROVIDERS = (
    DELEGATE,
    "Microsoft.Insights",
    VAULTS,
    "Microsoft.ManagedIdentity",
    "Microsoft.OperationalInsights",
    "Microsoft.Storage",
    WEB,
)
PRIVATE_MODE = "Microsoft.Network"
ALERTS = "Microsoft.EventGrid"

NEEDED = {
    "Microsoft.Resources/deployments/write": "Contributor",
    "Microsoft.Resources/subscriptions/resourceGroups/write": "Contributor",
    "Microsoft.Web/sites/write": "Contributor",
    "Microsoft.KeyVault/vaults/secrets/write": "Contributor",
    "Microsoft.Authorization/roleAssignments/write": "Role Based Access Control Administrator",
}
"""Actions of a deployment, and the least role that has each."""

LOCKS = {"Microsoft.Authorization/locks/write": "User Access Administrator"}
JOIN = ("Microsoft.Network/virtualNetworks/subnets/join/action", "Network Contributor")
ELSEWHERE = {
    DIAGNOSTICS_WORKSPACE: ("Microsoft.OperationalInsights/workspaces/sharedKeys/action", "Log Analytics Contributor"),
    FUNCTIONS_SUBNET: JOIN,
    ENDPOINTS_SUBNET: JOIN,
    PRIVATE_DNS_ZONES: ("Microsoft.Network/privateDnsZones/join/action", "Private DNS Zone Contributor"),
}
"""What has to be allowed on the resource of which a variable has the id, which may be in another subscription."""


def check(context: Context) -> None:
    """Every check of the subscription."""
    arm, report = context.services.arm, context.report
    base = f"/subscriptions/{context.environment[SUBSCRIPTION]}"
    attempt(report, "subscription", lambda: _subscription(context, arm, base))
    missing: set[str] = set()
    # First: a provider that is not registered refuses every question to it.
    attempt(report, "resource providers", lambda: _providers(context, arm, base, missing=missing))
    attempt(report, "region", lambda: _region(context, arm, base, missing=missing))
    attempt(report, "your rights", lambda: _permissions(context, arm, base, missing=missing))
    attempt(report, "policies", lambda: policies.check(context, arm, base))
    attempt(report, "resource group", lambda: _group(context, arm, base))
    attempt(report, "deleted vaults", lambda: _vaults(context, arm, missing=missing))


def _subscription(context: Context, arm: Api, base: str) -> str:
    document = arm.get(base, **{"api-version": "2022-12-01"})
    tenant, expected = str(document.get("tenantId") or ""), context.environment.get(TENANT)
    if tenant and expected and tenant != expected:
        context.report.finding(
            "tenant",
            "AZURE_TENANT_ID is not the tenant of the subscription",
            remedy=f"azd env set AZURE_TENANT_ID {shlex.quote(tenant)}",
        )
    expect(
        document.get("state") == "Enabled",
        f"{document.get('displayName')} is {document.get('state')}",
        remedy="choose another: azd env set AZURE_SUBSCRIPTION_ID <id>",
    )
    return str(document.get("displayName"))


def _providers(context: Context, arm: Api, base: str, *, missing: set[str]) -> str | None:
    """Puts those that lack into `missing`. With the deployment, Resource Manager registers them, if the account may."""
    environment, report = context.environment, context.report
    private = environment.says(PRIVATE_NETWORK)
    wanted = [*PROVIDERS, *([PRIVATE_MODE] if private else []), *([ALERTS] if environment.has(ALERT_EMAIL) else [])]
    for name in wanted:
        state = arm.get(f"{base}/providers/{name}", **{"api-version": "2021-04-01"}).get("registrationState")
        if state in {"Registered", "Registering"}:
            continue
        missing.add(name)
        command = f"az provider register --namespace {name} --wait"
        if private and name == DELEGATE:
            report.finding(
                "resource provider",
                f"{name} is not registered; the subnet of private mode is delegated to it, which registers nothing",
                remedy=command,
            )
        else:
            report.note(
                "resource provider",
                f"{name} is not registered; the deployment does it if you may (Contributor), or before it:\n{command}",
            )
    return None if missing else f"all {len(wanted)} are registered"


def _region(context: Context, arm: Api, base: str, *, missing: Collection[str]) -> str:
    if WEB in missing:
        return Note(f"cannot be looked at before {WEB} is registered")
    location = context.environment.get(LOCATION)
    parameters = {"api-version": "2023-01-01", "sku": "FlexConsumption"}
    regions = sorted(
        plain(str(one["name"])) for one in arm.pages(f"{base}/providers/Microsoft.Web/geoRegions", **parameters)
    )
    if not location:
        return Note(f"AZURE_LOCATION is not set; Flex Consumption is in: {', '.join(regions)}")
    expect(
        plain(location) in regions,
        f"{location} has no Flex Consumption",
        remedy=f"azd env set AZURE_LOCATION <one of {', '.join(regions)}>",
    )
    return f"{location} has Flex Consumption"


def _permissions(context: Context, arm: Api, base: str, *, missing: Collection[str]) -> str | None:
    environment, report = context.environment, context.report
    needed = NEEDED | {f"{name}/register/action": "Contributor" for name in missing}
    if environment.says(RESOURCE_LOCK):
        needed |= LOCKS
    wanted = {base: needed}
    for item, (action, role) in ELSEWHERE.items():
        used = item == DIAGNOSTICS_WORKSPACE or environment.says(PRIVATE_NETWORK)
        if used and environment.get(item).startswith("/"):
            wanted[environment[item].rstrip("/")] = {action: role}
    lacking = [(scope, role) for scope, actions in wanted.items() for role in sorted(_lacking(arm, scope, actions))]
    for scope, role in lacking:
        where = "" if scope == base else f" on {scope.rsplit('/', 1)[-1]}"
        report.finding(
            "your rights",
            f"the account lacks the role {role}{where}, or one that includes it",
            remedy=f'an owner runs: az role assignment create --role "{role}" --assignee <you> '
            f"--scope {shlex.quote(scope)}",
        )
    return None if lacking else "may deploy and assign roles"


def _lacking(arm: Api, scope: str, actions: Mapping[str, str]) -> set[str]:
    path = f"{scope}/providers/Microsoft.Authorization/permissions"
    try:
        granted = list(arm.pages(path, **{"api-version": "2022-04-01"}))
    except ApiError as error:
        if error.status != HTTPStatus.FORBIDDEN:
            raise
        granted = []  # whoever may not even read their rights there has none
    return {role for action, role in actions.items() if not may(granted, action)}


def _group(context: Context, arm: Api, base: str) -> str:
    """Names derive from subscription, environment and region: two deployments that share these overwrite each other.

    A group that holds what a first attempt left, which failed half way, is no finding: that is tried again.
    """
    environment = context.environment
    name, group = environment.get(ENVIRONMENT_NAME), resource_group(environment)
    if own := GROUP_OF.match(environment.get(VAULT_ID)):
        moves = own[2].lower() != group.lower()
        expect(
            not moves or arm.find(environment[VAULT_ID], **{"api-version": ARM_VERSION}) is None,
            f"{group} is not where this environment is deployed: vault and storage keep their names in {own[2]}",
            remedy=f"azd env set AZURE_RESOURCE_GROUP {own[2]}\nor use another environment: azd env new <name>",
        )
        return f"{group} is this environment's"
    path = f"{base}/resourceGroups/{group}"
    if not name or part(arm.find(path, **{"api-version": GROUP_VERSION}), "tags").get(ENVIRONMENT_TAG) != name:
        return "no other deployment of this name is there"
    kind = {"api-version": GROUP_VERSION, "$filter": "resourceType eq 'Microsoft.KeyVault/vaults'"}
    vaults = [str(one["name"]) for one in arm.pages(f"{path}/resources", **kind) if NAME.fullmatch(str(one["name"]))]
    if not vaults or environment.get(VAULT_NAME) in vaults:
        return "no other deployment of this name is there"
    said = f"{group} holds {' and '.join(vaults)} of an environment {name}, which this one does not know"
    if context.process.get("CI") or arm.tokens.claims(arm.scope).get("idtyp") == "app":
        # It keeps no state of azd's, so this is so in each of its runs.
        return Note(f"{said}.\nUnless it is this pipeline's, choose another AZURE_ENV_NAME")
    succeeded = {"api-version": GROUP_VERSION, "$filter": "provisioningState eq 'Succeeded'"}
    records = arm.pages(f"{base}/providers/Microsoft.Resources/deployments", **succeeded)
    expect(
        all(part(one, "tags").get(ENVIRONMENT_TAG) != name for one in records),
        f"{said}\nand would overwrite",
        remedy="where it is yours: azd env refresh\nor use another environment: azd env new <name>",
    )
    return Note(f"{said}.\nUnless your own attempt failed there, use another environment: azd env new <name>")


def _vaults(context: Context, arm: Api, *, missing: Collection[str]) -> str | None:
    if VAULTS in missing:
        return f"none is in the way: {VAULTS} was never used here"
    environment = context.environment
    vaults = DeletedVaults(arm, subscription=environment[SUBSCRIPTION])
    if environment.has(VAULT_NAME):
        named = vaults.named(environment[VAULT_NAME])
        if named is None:
            return "none is in the way"
        attempt(context.report, "deleted vault", lambda: _vault_in_the_way(environment, named))
        return None
    similar = vaults.similar(group=resource_group(environment), environment=environment.get(ENVIRONMENT_NAME))
    for vault in similar:
        context.report.note(
            "deleted vault",
            f"{vault.name} keeps its name until {vault.gone_on}, and may be an earlier one of this environment.\n"
            f"If the deployment says that the name is taken, get it back:\n{vault.recovery}",
        )
    return None if similar else "none looks like one of this environment"


def _vault_in_the_way(environment: Environment, vault: DeletedVault) -> Note:
    location, kept = plain(environment.get(LOCATION)), f"{vault.name} keeps its name until {vault.gone_on}"
    if location and plain(vault.location) != location:
        # Names derive from the region too.
        return Note(f"{vault.name} was in {vault.location}, and is not in the way elsewhere")
    expect(
        vault.was_in(resource_group(environment)),
        f"{kept}, and was in the resource group {vault.group}",
        remedy="use another environment: azd env new <name>; or set AZURE_RESOURCE_GROUP to that group",
    )
    expect(
        not vault.protected,
        f"{kept}, and is protected against purging",
        remedy=f"{vault.recovery}\nor use another environment: azd env new <name>",
    )
    raise FoundError(
        kept,
        remedy=f"get it back with its secrets:\n{vault.recovery}\n"
        f"or delete it for good: az keyvault purge --name {vault.name} --location {shlex.quote(vault.location)}",
    )


def may(granted: Iterable[dict[str, Any]], action: str) -> bool:
    """Whether one of the assignments allows the action and does not take it away again."""
    return any(
        any(_matches(pattern, action) for pattern in one.get("actions") or ())
        and not any(_matches(pattern, action) for pattern in one.get("notActions") or ())
        for one in granted
    )


def _matches(pattern: str, action: str) -> bool:
    return fnmatchcase(action.lower(), pattern.lower())
