"""`python -m ops predown`: keeps what azd forgets at `azd down`; azd runs it before."""

from __future__ import annotations

from ops.command import Command, Context
from ops.deployment import KEPT, remember
from ops.environment import VAULT_ID


def run(context: Context) -> int:
    """Writes the names down; whatever is missing does not keep azd from taking the deployment down."""
    if remember(context.environment, root=context.root):
        context.report.ok("names kept", "for `python -m ops postdown`")
    else:
        context.report.note("names not kept", "azd knows of no deployment in this environment")
    return 0


COMMAND = Command(
    name="predown",
    summary="keep the names that azd forgets at `azd down`; azd's hook",
    description=(
        "Writes the names of the vault and the registration to .azure/<environment>/deployment.json, where `postdown` "
        "and `preflight` find them once azd has forgotten them. Asks nobody, and holds no secret."
    ),
    takes=(VAULT_ID, *KEPT),
    run=run,
)
