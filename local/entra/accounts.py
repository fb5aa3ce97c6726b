"""The people who can sign in, as the directory file describes them, and how the directory treats each of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from local.entra.tenants import CONSUMERS_TENANT, OTHER_TENANT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from local.directory import Directory


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A user; `key` names it in the sign-in form, `faults` has the AADSTS code of what goes wrong where."""

    key: str
    name: str
    username: str
    tenant_id: str
    object_id: str
    note: str
    roles: tuple[str, ...]
    """App roles of this server, those of the account's groups included."""
    api_roles: dict[str, tuple[str, ...]]
    faults: dict[str, int]

    @property
    def is_personal(self) -> bool:
        return self.tenant_id == CONSUMERS_TENANT

    @property
    def identity_provider(self) -> str:
        return "live.com" if self.is_personal else f"https://sts.windows.net/{self.tenant_id}/"


def accounts(directory: Directory, *, home_tenant: str) -> dict[str, Account]:
    """The accounts by key, in the order of the file."""
    tenants = {"home": home_tenant, "other": OTHER_TENANT, "personal": CONSUMERS_TENANT}
    found: dict[str, Account] = {}
    for key, person in directory.accounts.items():
        assigned = [person, *(directory.groups[group] for group in person.groups)]
        found[key] = Account(
            key=key,
            name=person.name,
            username=cast("str", person.username),  # derived when the file was read, as is the id
            tenant_id=tenants[person.tenant],
            object_id=cast("str", person.object_id),
            note=person.note,
            roles=_each(role for one in assigned for role in one.roles),
            api_roles={
                api: _each(role for one in assigned for role in one.api_roles.get(api, ())) for api in directory.apis
            },
            faults=person.faults,
        )
    return found


def _each(roles: Iterable[str]) -> tuple[str, ...]:
    """Each role once."""
    return tuple(dict.fromkeys(roles))
