"""Read a scope parameter: which resource it is for, and what is granted on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from local.directory import GRAPH
from local.entra.errors import EntraError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from local.directory import Api, Directory
    from local.entra.registration import Registration

OIDC_SCOPES = frozenset({"openid", "profile", "email", "offline_access"})
GRAPH_APP_ID = "00000003-0000-0000-c000-000000000000"
GRAPH_URI = "https://graph.microsoft.com"
GRAPH_SCOPES = frozenset(
    {
        *("User.Read", "User.ReadBasic.All", "User.Read.All", "User.ReadWrite", "People.Read", "Directory.Read.All"),
        *("Mail.Read", "Mail.ReadBasic", "Mail.ReadWrite", "Mail.Send", "MailboxSettings.Read"),
        *("Calendars.Read", "Calendars.ReadWrite", "Contacts.Read", "Contacts.ReadWrite", "OnlineMeetings.Read"),
        *("Files.Read", "Files.Read.All", "Files.ReadWrite", "Files.ReadWrite.All"),
        *("Sites.Read.All", "Sites.ReadWrite.All", "Group.Read.All", "GroupMember.Read.All", "Team.ReadBasic.All"),
        *("Chat.Read", "Chat.ReadWrite", "ChatMessage.Send", "Channel.ReadBasic.All", "ChannelMessage.Read.All"),
        *("Presence.Read", "Tasks.Read", "Tasks.ReadWrite", "Notes.Read", "Notes.ReadWrite"),
    }
)
"""The delegated permissions that apps ask for most
(https://learn.microsoft.com/graph/permissions-reference)."""
AZURE = (
    *("https://vault.azure.net", "https://storage.azure.com", "https://management.azure.com"),
    *("https://database.windows.net", "https://ossrdbms-aad.database.windows.net"),
)
"""Services of Azure that a managed identity gets tokens for; the last two are SQL Database and PostgreSQL or MySQL."""
DEFAULT = ".default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """An API that tokens are issued for; `version` is that of its access tokens."""

    uri: str
    audience: str
    version: int
    scopes: frozenset[str]
    key: str = ""
    """How the directory file names it; empty for what the file does not have."""
    consented: frozenset[str] = frozenset()
    """What nobody has to consent to, or an administrator did for everybody."""

    def qualified(self, names: Iterable[str]) -> frozenset[str]:
        """The names as a sign-in asks for them: Graph's alone, others behind the identifier URI."""
        return frozenset(names if self.uri == GRAPH_URI else (f"{self.uri}/{name}" for name in names))


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeRequest:
    """What a scope parameter asks for on one resource; `words` are as they were sent, `oidc` the OpenID scopes."""

    text: str
    """The whole parameter."""
    resource: Resource
    words: tuple[str, ...]
    oidc: frozenset[str]

    @property
    def is_default(self) -> bool:
        """Whether everything that was consented to is asked for."""
        return DEFAULT in self.names

    @property
    def names(self) -> frozenset[str]:
        """Names of the scopes, `.default` included."""
        return frozenset(word.rpartition("/")[2] for word in self.words)


class ScopeReader:
    """Knows every resource of the directory and reads scope parameters against them."""

    def __init__(self, *, registration: Registration, directory: Directory, additional: Collection[str] = ()) -> None:
        """`additional` is what the server asks for besides: scopes of its own registration and of Graph may be new."""
        self._registration = registration
        prefix = f"{registration.identifier_uri}/"
        own = registration.scopes | {word.removeprefix(prefix) for word in additional if word.startswith(prefix)}
        graph = {word for word in additional if "/" not in word and word not in OIDC_SCOPES}
        self.app = Resource(
            uri=registration.identifier_uri, audience=registration.client_id, version=2, scopes=own, consented=own
        )
        self.graph = Resource(
            key=GRAPH,
            uri=GRAPH_URI,
            audience=GRAPH_APP_ID,
            version=1,
            scopes=GRAPH_SCOPES | graph | set(directory.graph_scopes),
        )
        self.apis = {key: _resource(key, api) for key, api in directory.apis.items()}
        self._aliases = {uri: _azure(uri) for uri in AZURE}
        self._aliases |= {directory.apis[key].client_id: resource for key, resource in self.apis.items()}
        for resource in (*self.apis.values(), self.graph, self.app):
            self._aliases |= {resource.uri: resource, resource.audience: resource}

    def resource(self, identifier: str) -> Resource:
        """The resource with this application id or identifier URI; raises AADSTS500011."""
        found = self._aliases.get(identifier.rstrip("/"))
        if found is None:
            raise EntraError(500011, resource=identifier, tenant=self._registration.tenant_id)
        return found

    def read(self, scope: str, *, resource: str | None = None) -> list[ScopeRequest]:
        """Parse a scope parameter, by resource; OpenID scopes alone are Graph's.

        Unknown words raise AADSTS650053, a foreign `resource` AADSTS9010010.
        """
        oidc = frozenset(scope.split()) & OIDC_SCOPES
        asked: dict[Resource, tuple[str, ...]] = {}
        for word in scope.split():
            if word not in oidc:
                found = self._resource_of(word, scope=scope)
                asked[found] = (*asked.get(found, ()), word)
        requests = [
            ScopeRequest(text=scope, resource=found, words=words, oidc=oidc)
            for found, words in (asked or {self.graph: ()}).items()
        ]
        for request in requests:
            if request.is_default and len(request.names) > 1:
                raise EntraError(70011, scope=scope)
            if unknown := sorted(request.names - request.resource.scopes - {DEFAULT}):
                raise EntraError(
                    650053, name=self._registration.name, scope=unknown[0], resource=request.resource.audience
                )
        if resource and self._aliases.get(resource.rstrip("/")) not in asked:
            raise EntraError(9010010)
        return requests

    def read_one(self, scope: str, *, resource: str | None = None) -> ScopeRequest:
        """As `read`, for a token request: exactly one resource (AADSTS28000)."""
        requests = self.read(scope, resource=resource)
        if len(requests) > 1:
            raise EntraError(28000, scope=scope)
        return requests[0]

    def _resource_of(self, word: str, *, scope: str) -> Resource:
        prefix, slash, name = word.rpartition("/")
        if not slash:
            return self.graph
        if not prefix or not name:
            raise EntraError(70011, scope=scope)
        return self.resource(prefix)


def _resource(key: str, api: Api) -> Resource:
    scopes = frozenset(api.scopes)
    uri, client = cast("str", api.identifier_uri), cast("str", api.client_id)  # derived when the file was read
    return Resource(
        key=key,
        uri=uri,
        audience=client if api.token_version == 2 else uri,
        version=api.token_version,
        scopes=scopes,
        consented=scopes if api.admin_consent else frozenset(),
    )


def _azure(uri: str) -> Resource:
    scopes = frozenset({"user_impersonation"})
    return Resource(uri=uri, audience=uri, version=1, scopes=scopes, consented=scopes)
