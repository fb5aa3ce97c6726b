"""What every endpoint of the stand-in works with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from local.entra.tenants import tenant_path

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.requests import Request

    from local.directory import Api
    from local.entra.accounts import Account
    from local.entra.keys import SigningKeys
    from local.entra.registration import ManagedIdentity, Registration
    from local.entra.scopes import ScopeReader
    from local.entra.state import State
    from local.entra.tenants import TenantPath


@dataclass(frozen=True, slots=True, kw_only=True)
class Entra:
    """One directory with one app registration; `clock` gives seconds since the epoch."""

    authority: str
    """Host and port."""
    registration: Registration
    identity: ManagedIdentity
    accounts: Mapping[str, Account]
    apis: Mapping[str, Api]
    scopes: ScopeReader
    state: State
    keys: SigningKeys
    clock: Callable[[], float]

    def issuer(self, tenant_id: str, *, version: int) -> str:
        """Who issues tokens of this version to people of a tenant."""
        if version == 1:
            return f"https://sts.windows.net/{tenant_id}/"
        return f"https://{self.authority}/{tenant_id}/v2.0"

    def tenant(self, request: Request) -> TenantPath:
        """What the tenant segment of the path stands for; raises AADSTS90002."""
        return tenant_path(request.path_params["tenant"], home=self.registration.tenant_id)

    def account_of(self, claims: Mapping[str, Any]) -> Account | None:
        """The person that a token is about."""
        return next((one for one in self.accounts.values() if one.object_id == claims.get("oid")), None)


async def form_of(request: Request) -> dict[str, str]:
    """The text fields of a form."""
    async with request.form() as data:
        return {name: value for name, value in data.items() if isinstance(value, str)}
