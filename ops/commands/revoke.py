"""`python -m ops revoke`: ends every sign-in of one person, on all instances.

Threat: whoever runs this has the table and the vault's key. A mark finds the rows, and none is opened
(storage/owners.py). With the same roles they could open background tasks, and tokens only of those who have an
unfinished one (tasks/rows.py).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from uuid import UUID

from ops.command import Command, Context
from ops.environment import CONNECTION_STRING, STORAGE_ACCOUNT, TABLE_NAME, TENANT, VAULT_NAME, VAULT_URL
from ops.errors import OpsError, UsageError

if TYPE_CHECKING:
    import argparse

SETTLE_SECONDS = 5.0
"""Between two passes: an exchange that was under way during the first has ended by then."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    person = parser.add_mutually_exclusive_group(required=True)
    person.add_argument("--user", metavar="OBJECT_ID", help="object id of the person in Entra ID")
    person.add_argument("--subject", metavar="SUB", help="subject that another issuer asserts")


def run(context: Context) -> int:
    """Deletes the token sets, unredeemed codes and background tasks of the person; run again, it finds nothing."""
    deleted = asyncio.run(_revoke(context, _owner(context.options)))
    nothing = f"there was nothing to delete in {context.services.table_place}"
    context.report.ok("signed out", f"{deleted} rows with tokens deleted" if deleted else nothing)
    if deleted:
        context.report.note(
            "to keep the person out", "disable the account, or revoke its sessions, where they sign in, before this."
        )
    return 0


def _owner(options: argparse.Namespace) -> str:
    """The person, as the rows have it."""
    if options.subject is not None:
        if not options.subject:
            raise UsageError("--subject takes the `sub` of the person's identity assertions.")
        return options.subject.lower()
    try:
        return str(UUID(options.user))
    except ValueError:
        raise UsageError(
            "--user takes an object id: `az ad user show --id <user name> --query id --output tsv`."
        ) from None


async def _revoke(context: Context, person: str) -> int:
    from entra_mcp.errors import DependencyError
    from entra_mcp.ownership import OWNED
    from entra_mcp.storage.owners import OwnerMarks, delete_owned
    from entra_mcp.tasks.rows import RESULTS, TASKS
    from entra_mcp.vault.client import Vault

    services = context.services
    total = 0
    try:
        async with Vault(url=_vault_url(context), credential=services.credential()) as vault, services.table() as table:
            context.report.ok("table", services.table_place)
            secrets = await vault.read(client_secret=False)
            context.report.ok("signing keys", f"{len(secrets.signing_keys.keys)} of the vault")
            for number in range(2):
                if number:
                    context.report.step(f"waiting {SETTLE_SECONDS:.0f} s for logins that were under way")
                    await asyncio.to_thread(context.services.patience.sleep, SETTLE_SECONDS)
                seen = deleted = 0
                async for seen, deleted in delete_owned(
                    table,
                    marks=OwnerMarks(secrets.signing_keys),
                    owner=person,
                    collections=(*reversed(OWNED), TASKS, RESULTS),
                ):
                    context.report.step(f"{seen:,} rows looked at, {deleted:,} deleted")
                total += deleted
    except DependencyError as error:
        raise OpsError(
            f"{error}\nYou need the roles Key Vault Secrets User on the vault and Storage Table Data Contributor on "
            "the table; rows that were deleted until now stay deleted. Run it again."
        ) from None
    return total


def _vault_url(context: Context) -> str:
    environment = context.environment
    return environment.get(VAULT_URL) or f"https://{environment[VAULT_NAME]}.{context.services.cloud.vault_suffix}"


COMMAND = Command(
    name="revoke",
    summary="end every sign-in of one person",
    description=(
        "Deletes the tokens that the server keeps for one person, without reading them. Every refresh is then\n"
        "refused at once. Calls are answered for MCP_UPSTREAM_TOKEN_CACHE_SECONDS more (10 by default).\n"
        "Whom Entra ID knows is named by --user, also in its identity assertions; --subject is for other issuers."
    ),
    run=run,
    add_arguments=add_arguments,
    takes=(STORAGE_ACCOUNT, VAULT_NAME, VAULT_URL, TABLE_NAME, CONNECTION_STRING, TENANT),
    examples="example: python -m ops revoke --user 5f7d2c1e-0000-4000-8000-000000000000",
)
