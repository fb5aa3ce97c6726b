"""Key Vault's errors and their JSON shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


class VaultError(Exception):
    """An answer other than success; `inner` is the code that distinguishes errors of one status."""

    def __init__(self, status: int, code: str, message: str, *, inner: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.inner = inner

    def document(self) -> dict[str, Any]:
        error: dict[str, Any] = {"code": self.code, "message": str(self)}
        if self.inner:
            error["innererror"] = {"code": self.inner}
        return {"error": error}


def secret_not_found(name: str) -> VaultError:
    message = (
        f"A secret with (name/id) {name} was not found in this key vault. If you recently deleted this secret you may "
        "be able to recover it using the correct recovery command. For help resolving this issue, please see "
        "https://go.microsoft.com/fwlink/?linkid=2125182"
    )
    return VaultError(404, "SecretNotFound", message)


def secret_disabled() -> VaultError:
    message = "Operation get is not allowed on a disabled secret."
    return VaultError(403, "Forbidden", message, inner="SecretDisabled")


_PROPAGATION = (
    "If role assignments, deny assignments or role definitions were changed recently, please observe propagation time."
)


def forbidden(claims: Mapping[str, Any], *, action: str, resource: str) -> VaultError:
    """What a caller without the role reads: who it is, what it tried and on what."""
    caller = f"appid={claims.get('appid') or claims.get('azp')};oid={claims.get('oid')};iss={claims['iss']}"
    lines = (
        "Caller is not authorized to perform action on resource.",
        _PROPAGATION,
        f"Caller: {caller}",
        f"Action: '{action}'",
        f"Resource: '{resource}'",
        "Assignment: (not found)",
        "DenyAssignmentId: null",
        "DecisionReason: null ",
        "Vault: local;location=local",
    )
    return VaultError(403, "Forbidden", "\r\n".join([*lines, ""]), inner="ForbiddenByRbac")


def bad_parameter(message: str) -> VaultError:
    return VaultError(400, "BadParameter", message)
