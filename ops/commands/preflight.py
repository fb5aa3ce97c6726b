"""`python -m ops preflight`: whether `azd up` will succeed, and what to do first if not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops.client_secret import days_of, wants_client_secret
from ops.command import Command
from ops.environment import (
    ADDITIONAL_SCOPES,
    ADMIN_CONSENT,
    ALERT_EMAIL,
    API_PERMISSIONS,
    APP_UNIQUE_NAME,
    ASSIGNMENT_REQUIRED,
    AUTH_MODE,
    CLIENT_ID,
    DIAGNOSTICS_WORKSPACE,
    ENDPOINTS,
    ENDPOINTS_SUBNET,
    ENTRA_TENANT,
    ENVIRONMENT_NAME,
    EXISTING_CLIENT_ID,
    EXPIRY_DATE,
    FUNCTIONS_SUBNET,
    LOCATION,
    OPTIONAL_SCOPES,
    OWNER_IDS,
    PREFLIGHT,
    PRESET,
    PRIVATE_DNS_ZONES,
    PRIVATE_NETWORK,
    PURGE_PROTECTION,
    REQUIRED_SCOPES,
    RESOURCE_GROUP,
    RESOURCE_LOCK,
    RESOURCE_TAGS,
    SECRET_DAYS,
    SUBSCRIPTION,
    TENANT,
    VAULT_NAME,
)
from ops.errors import BadInputError
from ops.preflight import directory, sign_in, subscription, tools
from ops.signing_key import expiry_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from ops.command import Context


WARN = "warn"


def run(context: Context) -> int:
    """Looks at the machine, at who is signed in, at the subscription and the tenant."""
    context.report.heading("Tools")
    tools.check(context.report, environment=context.process)
    usable = _inputs(context)
    context.report.heading("Sign-in")
    needed = {subscription.LOOKS_AT: context.services.arm}
    if directory.is_asked(context.environment):
        needed[directory.LOOKS_AT] = context.services.graph
    refused = sign_in.refused(context, needed)
    if subscription.LOOKS_AT not in refused:
        context.report.heading("Subscription")
        _subscription(context)
    if directory.LOOKS_AT not in refused:
        context.report.heading("Tenant")
        directory.check(context)
    if context.report.findings:
        context.report.text(f"\n{context.report.findings} thing(s) to fix before `azd up`.")
        if context.environment.get(PREFLIGHT).lower() == WARN:
            context.report.text("PREFLIGHT=warn: azd goes on all the same.")
            return 0
        context.report.text("To go on all the same, where a finding is wrong: azd env set PREFLIGHT warn")
        return 1 if usable else BadInputError.exit_code
    context.report.text("\nReady for `azd up`.")
    return 0


def _inputs(context: Context) -> bool:
    """Whether there is no variable that the deployment or its hook would stop at, half way through."""
    environment = context.environment
    checks: list[Callable[[], object]] = [
        lambda: expiry_of(environment, now=context.now()),
        lambda: environment.pairs(RESOURCE_TAGS),
    ]
    if wants_client_secret(environment):
        checks.append(lambda: days_of(environment))
    usable = True
    for check in checks:
        try:
            check()
        except BadInputError as error:
            usable = False
            context.report.finding("variable", str(error), remedy=f"azd env set {error.name} <value>")
    return usable


def _subscription(context: Context) -> None:
    if context.environment.has(SUBSCRIPTION):
        subscription.check(context)
    else:
        # azd runs this before it asks for the subscription, the first time.
        context.report.note(
            "subscription", "AZURE_SUBSCRIPTION_ID is not set yet: azd will ask. Run this again afterwards"
        )


COMMAND = Command(
    name="preflight",
    summary="check tools, subscription and tenant before `azd up`",
    description=(
        "Looks for everything that is known to stop a deployment: tools and their versions, region, resource "
        "providers, your rights, the tenant's policies, names that deleted vaults and registrations still hold. "
        "Changes nothing. Each finding comes with the command that fixes it."
    ),
    takes=(
        TENANT,
        SUBSCRIPTION,
        RESOURCE_GROUP,
        LOCATION,
        ENVIRONMENT_NAME,
        VAULT_NAME,
        CLIENT_ID,
        APP_UNIQUE_NAME,
        EXISTING_CLIENT_ID,
        OWNER_IDS,
        PRIVATE_NETWORK,
        PRIVATE_DNS_ZONES,
        FUNCTIONS_SUBNET,
        ENDPOINTS_SUBNET,
        ALERT_EMAIL,
        DIAGNOSTICS_WORKSPACE,
        RESOURCE_LOCK,
        AUTH_MODE,
        ADMIN_CONSENT,
        ASSIGNMENT_REQUIRED,
        REQUIRED_SCOPES,
        OPTIONAL_SCOPES,
        ADDITIONAL_SCOPES,
        API_PERMISSIONS,
        SECRET_DAYS,
        PRESET,
        PURGE_PROTECTION,
        EXPIRY_DATE,
        RESOURCE_TAGS,
        PREFLIGHT,
        ENTRA_TENANT,
        *ENDPOINTS,
    ),
    after_down=True,
    run=run,
)
