"""`python -m ops preflight`: whether `azd up` will succeed, and what to do first if not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops import environment as inputs
from ops.client_secret import days_of, wants_client_secret
from ops.command import Command, Context
from ops.deployment import KEPT
from ops.errors import BadInputError
from ops.preflight import directory, sign_in, subscription, tools
from ops.signing_key import expiry_of

if TYPE_CHECKING:
    from collections.abc import Callable

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
        if context.environment.has(inputs.SUBSCRIPTION):
            subscription.check(context)
        else:
            # azd runs this before it asks for the subscription, the first time.
            context.report.note(
                "subscription", "AZURE_SUBSCRIPTION_ID is not set yet: azd will ask. Run this again afterwards"
            )
    if directory.LOOKS_AT not in refused:
        context.report.heading("Tenant")
        directory.check(context)
    if context.report.findings:
        context.report.text(f"\n{context.report.findings} thing(s) to fix before `azd up`.")
        if context.environment.get(inputs.PREFLIGHT).lower() == WARN:
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
        lambda: environment.pairs(inputs.RESOURCE_TAGS),
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


COMMAND = Command(
    name="preflight",
    summary="check tools, subscription and tenant before `azd up`",
    description=(
        "Looks for everything that is known to stop a deployment: tools and their versions, region, resource "
        "providers, your rights, the tenant's policies, names that deleted vaults and registrations still hold. "
        "Changes nothing. Each finding comes with the command that fixes it."
    ),
    takes=(
        *KEPT,
        inputs.VAULT_ID,
        inputs.LOCATION,
        inputs.EXISTING_CLIENT_ID,
        inputs.OWNER_IDS,
        inputs.PRIVATE_NETWORK,
        inputs.PRIVATE_DNS_ZONES,
        inputs.FUNCTIONS_SUBNET,
        inputs.ENDPOINTS_SUBNET,
        inputs.ALERT_EMAIL,
        inputs.DIAGNOSTICS_WORKSPACE,
        inputs.RESOURCE_LOCK,
        inputs.AUTH_MODE,
        inputs.ADMIN_CONSENT,
        inputs.ASSIGNMENT_REQUIRED,
        inputs.REQUIRED_SCOPES,
        inputs.OPTIONAL_SCOPES,
        inputs.ADDITIONAL_SCOPES,
        inputs.API_PERMISSIONS,
        inputs.SECRET_DAYS,
        inputs.PRESET,
        inputs.PURGE_PROTECTION,
        inputs.EXPIRY_DATE,
        inputs.RESOURCE_TAGS,
        inputs.PREFLIGHT,
        inputs.GRAPH_URL,
        inputs.ARM_URL,
    ),
    after_down=True,
    before_up=True,
    run=run,
)
