"""Read a scope parameter: which resource it is for, and what is granted on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from local.entra.errors import EntraError

if TYPE_CHECKING:
    from local.entra.registration import Registration

OIDC_SCOPES = ("openid", "profile", "email", "offline_access")
GRAPH_APP_ID = "00000003-0000-0000-c000-000000000000"
GRAPH_URI = "https://graph.microsoft.com"
GRAPH_SCOPES = frozenset(
    {"User.Read", "User.ReadBasic.All", "Mail.Read", "Calendars.Read", "Files.Read", "People.Read", "Group.Read.All"}
)
DEFAULT = ".default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """An API that tokens are issued for; `version` is that of its access tokens."""

    uri: str
    audience: str
    version: int
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeRequest:
    """A parsed scope parameter; `asked` keeps the words as they were sent, by resource."""

    oidc: frozenset[str]
    asked: dict[Resource, tuple[str, ...]]

    @property
    def resources(self) -> tuple[Resource, ...]:
        return tuple(self.asked)

    def is_default(self, resource: Resource) -> bool:
        """Whether everything that was consented to is asked for."""
        return DEFAULT in self.names(resource)

    def names(self, resource: Resource) -> frozenset[str]:
        """Names of the scopes on one resource, `.default` included."""
        return frozenset(word.rpartition("/")[2] for word in self.asked.get(resource, ()))


class ScopeReader:
    """Knows every resource of the directory and reads scope parameters against them."""

    def __init__(self, *, registration: Registration) -> None:
        self._name = registration.name
        self._tenant = registration.tenant_id
        self.app = Resource(
            uri=registration.identifier_uri,
            audience=registration.client_id,
            version=2,
            scopes=registration.scopes,
        )
        self.graph = Resource(uri=GRAPH_URI, audience=GRAPH_APP_ID, version=1, scopes=GRAPH_SCOPES)
        self._aliases: dict[str, Resource] = {
            registration.identifier_uri: self.app,
            registration.client_id: self.app,
            GRAPH_URI: self.graph,
            GRAPH_APP_ID: self.graph,
        }
        for uri in ("https://vault.azure.net", "https://storage.azure.com", "https://management.azure.com"):
            self._aliases[uri] = Resource(uri=uri, audience=uri, version=1, scopes=frozenset({"user_impersonation"}))

    def resource(self, identifier: str) -> Resource:
        """The resource with this application id or identifier URI; raises AADSTS500011."""
        found = self._aliases.get(identifier.rstrip("/"))
        if found is None:
            raise EntraError(500011, resource=identifier, tenant=self._tenant)
        return found

    def read(self, scope: str, *, resource: str | None = None) -> ScopeRequest:
        """Parse a scope parameter; unknown words raise AADSTS650053, a foreign `resource` AADSTS9010010."""
        words = scope.split()
        asked: dict[Resource, tuple[str, ...]] = {}
        for word in words:
            if word not in OIDC_SCOPES:
                found = self._resource_of(word, scope=scope)
                asked[found] = (*asked.get(found, ()), word)
        request = ScopeRequest(oidc=frozenset(words) & frozenset(OIDC_SCOPES), asked=asked)
        for found in asked:
            self._check_names(request.names(found), resource=found, scope=scope)
        if resource and self._aliases.get(resource.rstrip("/")) not in request.resources:
            raise EntraError(9010010)
        return request

    def read_one(self, scope: str, *, resource: str | None = None) -> tuple[ScopeRequest, Resource]:
        """As `read`, for a token request: exactly one resource (AADSTS28000); OpenID scopes alone are Graph's."""
        request = self.read(scope, resource=resource)
        if len(request.resources) > 1:
            raise EntraError(28000, scope=scope)
        return request, (request.resources or (self.graph,))[0]

    def _resource_of(self, word: str, *, scope: str) -> Resource:
        prefix, slash, name = word.rpartition("/")
        if not slash:
            return self.graph
        if not prefix or not name:
            raise EntraError(70011, scope=scope)
        return self.resource(prefix)

    def _check_names(self, names: frozenset[str], *, resource: Resource, scope: str) -> None:
        if DEFAULT in names and len(names) > 1:
            raise EntraError(70011, scope=scope)
        if unknown := sorted(names - resource.scopes - {DEFAULT}):
            raise EntraError(650053, name=self._name, scope=unknown[0], resource=resource.audience)
