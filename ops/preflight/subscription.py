"""What the subscription has to allow: region, providers, the rights of who deploys, policies, free names."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from ops.attempt import attempt
from ops.deployment import resource_group
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
    VAULT_NAME,
)
from ops.errors import ApiError
from ops.leftovers import DeletedVaults
from ops.preflight import policies
from ops.preflight.policies import plain

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from ops.command import Context
    from ops.http import Api

LOOKS_AT = "the subscription (resource providers, region, your rights, policies, deleted vaults)"
"""For whoever cannot let it."""

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
    subscription = context.environment[SUBSCRIPTION]
    base = f"/subscriptions/{subscription}"
    attempt(report, "subscription", lambda: _subscription(context, arm, base))
    missing: set[str] = set()
    # First: a provider that is not registered refuses every question to it.
    attempt(report, "resource providers", lambda: missing.update(_providers(context, arm, base)))
    if WEB in missing:
        report.note("region", f"cannot be looked at before {WEB} is registered")
    else:
        attempt(report, "region", lambda: _region(context, arm, base))
    attempt(report, "your rights", lambda: _permissions(context, arm, base, missing=missing))
    attempt(report, "policies", lambda: policies.check(context, arm, base))
    if VAULTS in missing:
        report.ok("deleted vaults", f"none is in the way: {VAULTS} was never used here")
    else:
        attempt(report, "deleted vaults", lambda: _vaults(context, arm))


def _subscription(context: Context, arm: Api, base: str) -> None:
    document = arm.get(base, **{"api-version": "2022-12-01"})
    if document.get("state") != "Enabled":
        context.report.finding(
            "subscription",
            f"{document.get('displayName')} is {document.get('state')}",
            remedy="choose another: azd env set AZURE_SUBSCRIPTION_ID <id>",
        )
    else:
        context.report.ok("subscription", str(document.get("displayName")))
    tenant, expected = str(document.get("tenantId") or ""), context.environment.get(TENANT)
    if tenant and expected and tenant != expected:
        context.report.finding(
            "tenant",
            "AZURE_TENANT_ID is not the tenant of the subscription",
            remedy=f"azd env set AZURE_TENANT_ID {tenant}",
        )


def _region(context: Context, arm: Api, base: str) -> None:
    location = context.environment.get(LOCATION)
    parameters = {"api-version": "2023-01-01", "sku": "FlexConsumption"}
    regions = sorted(
        plain(str(one["name"])) for one in arm.pages(f"{base}/providers/Microsoft.Web/geoRegions", **parameters)
    )
    if not location:
        context.report.note("region", f"AZURE_LOCATION is not set; Flex Consumption is in: {', '.join(regions)}")
    elif plain(location) not in regions:
        context.report.finding(
            "region",
            f"{location} has no Flex Consumption",
            remedy=f"azd env set AZURE_LOCATION <one of {', '.join(regions)}>",
        )
    else:
        context.report.ok("region", f"{location} has Flex Consumption")


def _providers(context: Context, arm: Api, base: str) -> list[str]:
    """Those that are missing; Azure Resource Manager registers them with the deployment, if the account may."""
    missing: list[str] = []
    environment = context.environment
    private = environment.says(PRIVATE_NETWORK)
    wanted = [
        *PROVIDERS,
        *([PRIVATE_MODE] if private else []),
        *([ALERTS] if environment.has(ALERT_EMAIL) else []),
    ]
    for name in wanted:
        state = str(arm.get(f"{base}/providers/{name}", **{"api-version": "2021-04-01"}).get("registrationState"))
        if state not in {"Registered", "Registering"}:
            missing.append(name)
    for name in missing:
        if private and name == DELEGATE:
            context.report.finding(
                "resource provider",
                f"{name} is not registered; the subnet of private mode is delegated to it, which registers nothing",
                remedy=f"az provider register --namespace {name} --wait",
            )
            continue
        context.report.note(
            "resource provider",
            f"{name} is not registered; the deployment does it if you may (Contributor), or before it:\n"
            f"az provider register --namespace {name} --wait",
        )
    if not missing:
        context.report.ok("resource providers", f"all {len(wanted)} are registered")
    return missing


def _permissions(context: Context, arm: Api, base: str, *, missing: Collection[str]) -> None:
    environment, report = context.environment, context.report
    needed = NEEDED | {f"{name}/register/action": "Contributor" for name in missing}
    if environment.says(RESOURCE_LOCK):
        needed |= LOCKS
    wanted = {base: needed}
    for item, (action, role) in ELSEWHERE.items():
        used = item == DIAGNOSTICS_WORKSPACE or environment.says(PRIVATE_NETWORK)
        if used and environment.get(item).startswith("/"):
            wanted[environment[item].rstrip("/")] = {action: role}
    before = report.findings
    for scope, actions in wanted.items():
        for role in sorted(_lacking(arm, scope, actions)):
            where = "" if scope == base else f" on {scope.rsplit('/', 1)[-1]}"
            report.finding(
                "your rights",
                f"the account lacks the role {role}{where}, or one that includes it",
                remedy=f'an owner runs: az role assignment create --role "{role}" --assignee <you> --scope {scope}',
            )
    if report.findings == before:
        report.ok("your rights", "may deploy and assign roles")


def _lacking(arm: Api, scope: str, actions: Mapping[str, str]) -> set[str]:
    path = f"{scope}/providers/Microsoft.Authorization/permissions"
    try:
        granted = list(arm.pages(path, **{"api-version": "2022-04-01"}))
    except ApiError as error:
        if error.status != HTTPStatus.FORBIDDEN:
            raise
        granted = []  # whoever may not even read their rights there has none
    return {role for action, role in actions.items() if not may(granted, action)}


def _vaults(context: Context, arm: Api) -> None:
    environment, report = context.environment, context.report
    vaults = DeletedVaults(arm, subscription=environment[SUBSCRIPTION])
    if not environment.has(VAULT_NAME):
        similar = vaults.similar(group=resource_group(environment), environment=environment.get(ENVIRONMENT_NAME))
        for vault in similar:
            report.note(
                "deleted vault",
                f"{vault.name} keeps its name until {vault.gone_on}, and may be an earlier one of this environment.\n"
                f"If the deployment says that the name is taken, get it back:\n{vault.recovery}",
            )
        if not similar:
            report.ok("deleted vaults", "none looks like one of this environment")
        return
    vault, location = vaults.named(environment[VAULT_NAME]), plain(environment.get(LOCATION))
    if vault is None:
        report.ok("deleted vaults", "none is in the way")
    elif location and plain(vault.location) != location:
        # Names derive from the region too.
        report.note("deleted vault", f"{vault.name} was in {vault.location}, and is not in the way elsewhere")
    elif not vault.was_in(resource_group(environment)):
        report.finding(
            "deleted vault",
            f"{vault.name} keeps its name until {vault.gone_on}, and was in the resource group {vault.group}",
            remedy="use another environment: azd env new <name>; or set AZURE_RESOURCE_GROUP to that group",
        )
    elif vault.protected:
        report.finding(
            "deleted vault",
            f"{vault.name} keeps its name until {vault.gone_on}, and is protected against purging",
            remedy=f"{vault.recovery}\nor use another environment: azd env new <name>",
        )
    else:
        report.finding(
            "deleted vault",
            f"{vault.name} keeps its name until {vault.gone_on}",
            remedy=f"get it back with its secrets:\n{vault.recovery}\n"
            f"or delete it for good: az keyvault purge --name {vault.name} --location {vault.location}",
        )


def may(granted: Iterable[dict[str, Any]], action: str) -> bool:
    """Whether one of the assignments allows the action and does not take it away again."""
    return any(
        any(_matches(pattern, action) for pattern in one.get("actions") or ())
        and not any(_matches(pattern, action) for pattern in one.get("notActions") or ())
        for one in granted
    )


def _matches(pattern: str, action: str) -> bool:
    expression = ".*".join(re.escape(part) for part in pattern.split("*"))
    return re.fullmatch(expression, action, re.IGNORECASE) is not None
