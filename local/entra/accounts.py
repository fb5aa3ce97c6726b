"""The invented people who can sign in, and how the directory treats each of them."""

from __future__ import annotations

from dataclasses import dataclass

from local.entra.tenants import CONSUMERS_TENANT, OTHER_TENANT


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A user; `key` names it in the sign-in form, the AADSTS codes say what goes wrong where (None: nothing)."""

    key: str
    name: str
    username: str
    tenant_id: str
    object_id: str
    note: str
    roles: tuple[str, ...] = ()
    sign_in_fault: int | None = None
    graph_fault: int | None = None

    @property
    def is_personal(self) -> bool:
        return self.tenant_id == CONSUMERS_TENANT

    @property
    def identity_provider(self) -> str:
        return "live.com" if self.is_personal else f"https://sts.windows.net/{self.tenant_id}/"


def accounts(*, home_tenant: str) -> dict[str, Account]:
    """The accounts by key; the first ones belong to the tenant of the app registration."""
    people = (
        Account(
            key="user",
            name="Local User",
            username="user@local.example",
            tenant_id=home_tenant,
            object_id="aaaaaaaa-0001-4000-8000-000000000001",
            note="An ordinary user",
        ),
        Account(
            key="admin",
            name="Local Admin",
            username="admin@local.example",
            tenant_id=home_tenant,
            object_id="aaaaaaaa-0002-4000-8000-000000000002",
            note="An administrator of the app",
            roles=("Admin",),
        ),
        Account(
            key="unconsented",
            name="Unconsented User",
            username="unconsented@local.example",
            tenant_id=home_tenant,
            object_id="aaaaaaaa-0003-4000-8000-000000000003",
            note="Signs in, but Microsoft Graph answers AADSTS65001: consent is missing",
            graph_fault=65001,
        ),
        Account(
            key="stepup",
            name="Step-up User",
            username="stepup@local.example",
            tenant_id=home_tenant,
            object_id="aaaaaaaa-0004-4000-8000-000000000004",
            note="Signs in, but Microsoft Graph answers AADSTS50076: multi-factor sign-in is needed",
            graph_fault=50076,
        ),
        Account(
            key="blocked",
            name="Blocked User",
            username="blocked@local.example",
            tenant_id=home_tenant,
            object_id="aaaaaaaa-0005-4000-8000-000000000005",
            note="Ends in AADSTS53003: blocked by Conditional Access",
            sign_in_fault=53003,
        ),
        Account(
            key="other",
            name="Other Organization User",
            username="user@other.example",
            tenant_id=OTHER_TENANT,
            object_id="bbbbbbbb-0001-4000-8000-000000000001",
            note="A user of another tenant",
        ),
        Account(
            key="personal",
            name="Personal User",
            username="personal@mail.example",
            tenant_id=CONSUMERS_TENANT,
            object_id="00000000-0000-0000-aaaa-000000000001",
            note="A personal Microsoft account",
        ),
    )
    return {account.key: account for account in people}
