"""Which tenants exist, and what the tenant segment of a path accepts."""

from __future__ import annotations

from dataclasses import dataclass

from local.entra.errors import EntraError

CONSUMERS_TENANT = "9188040d-6c67-4c5b-b112-36a304b66dad"
"""The tenant of every personal Microsoft account, the same in the real service."""

OTHER_TENANT = "33333333-3333-4333-8333-333333333333"
"""A second organization, whose people are strangers to the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantPath:
    """A tenant segment that was resolved: `tenants` may sign in through it."""

    segment: str
    tenants: frozenset[str]

    @property
    def tenant_id(self) -> str | None:
        """The one tenant of the path, or None for `organizations` and `common`."""
        return next(iter(self.tenants)) if len(self.tenants) == 1 else None


def tenant_path(segment: str, *, home: str) -> TenantPath:
    """Read a path segment; an unknown tenant raises AADSTS90002. The tenant `home` owns the app registration."""
    name = segment.lower()
    organizations = frozenset({home, OTHER_TENANT})
    known = {
        "organizations": organizations,
        "consumers": frozenset({CONSUMERS_TENANT}),
        "common": organizations | {CONSUMERS_TENANT},
        CONSUMERS_TENANT: frozenset({CONSUMERS_TENANT}),
        **{tenant: frozenset({tenant}) for tenant in organizations},
    }
    if name not in known:
        raise EntraError(90002, tenant=segment)
    return TenantPath(segment=name, tenants=known[name])
