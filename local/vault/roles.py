"""Who may do what in the vault, as Azure role-based access control has it.

Threat: an app whose identity could write secrets would look fine here, and be refused in Azure; or, worse, be given
there a role that it does not need. So the managed identity has the roles that the docs name, and no more.
Source: https://learn.microsoft.com/azure/key-vault/general/rbac-guide
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.config import OFFICER_ID
from local.entra.registration import ManagedIdentity
from local.vault.errors import VaultError

if TYPE_CHECKING:
    from collections.abc import Mapping

VAULT = (
    "/subscriptions/00000000-0000-0000-0000-000000000000/resourcegroups/local/providers/microsoft.keyvault/vaults/local"
)
ACTIONS = "Microsoft.KeyVault/vaults/secrets"

USER = ManagedIdentity().principal_id
"""Has the role Key Vault Secrets User: it reads."""

_PROPAGATION = (
    "If role assignments, deny assignments or role definitions were changed recently, please observe propagation time."
)


def check_role(claims: Mapping[str, Any], *, action: str, name: str) -> None:
    """VaultError 403 unless a role of the caller holds the action, the last words of its name in Azure.

    What a caller without the role reads: who it is, what it tried and on what.
    """
    reads = action in {"getSecret/action", "readMetadata/action"}
    if claims.get("oid") == OFFICER_ID or (reads and claims.get("oid") == USER):
        return
    lines = (
        "Caller is not authorized to perform action on resource.",
        _PROPAGATION,
        f"Caller: appid={claims.get('appid') or claims.get('azp')};oid={claims.get('oid')};iss={claims['iss']}",
        f"Action: '{ACTIONS}/{action}'",
        f"Resource: '{VAULT}/secrets/{name}'",
        "Assignment: (not found)",
        "DenyAssignmentId: null",
        "DecisionReason: null ",
        "Vault: local;location=local",
    )
    raise VaultError(403, "Forbidden", "\r\n".join([*lines, ""]), inner="ForbiddenByRbac")
