"""Ways to sign in beside the usual one, with real clients over three workers, each request at the next of them."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import httpx2
import jwt
import pytest
from fastmcp import Client
from fastmcp.client.auth.oauth import TokenStorageAdapter
from fastmcp.client.transports import StreamableHttpTransport
from mcp.client.auth.extensions.identity_assertion import IdentityAssertionOAuthProvider

import tests.support
from local.check.sign_in import Progress, SignIn
from local.check.storage import file_store
from local.loopback.tls import ensure_tls
from tests.support.documents import Documents
from tests.support.fleet import WORKERS, Fleet
from tests.support.oauth import OAuthClient
from tests.support.scoped.tools import APPROVE, DELETE

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator

    from tests.support.fleet import RoundRobin
    from tests.support.standins import StandIns

Era = Literal["legacy", "2026-07-28"]

APP = Path(tests.support.__path__[0]) / "scoped_app"
OPTIONAL = f"{APPROVE} {DELETE}"

pytestmark = [pytest.mark.long, pytest.mark.parametrize("era", ["legacy", "2026-07-28"])]


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory, certificates: Path) -> Documents:
    return Documents(tmp_path_factory.mktemp("documents"), trusted=ensure_tls(certificates).bundle)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory, certificates: Path, documents: Documents) -> Iterator[Fleet]:
    def settings(standins: StandIns) -> dict[str, str]:
        scopes_and_issuers = {
            "ENTRA_OPTIONAL_SCOPES": OPTIONAL,
            "MCP_IDENTITY_ASSERTION_ISSUERS": standins.issuer,
        }
        return scopes_and_issuers | documents.environment

    folder, registration = tmp_path_factory.mktemp("fleet"), [f"--optional-scopes={OPTIONAL}"]
    with Fleet(folder, certificates=certificates, app=APP, registration=registration, settings=settings) as fleet:
        yield fleet


@pytest.fixture
async def proxy(fleet: Fleet) -> AsyncIterator[RoundRobin]:
    async with fleet.serving() as proxy:
        yield proxy


@dataclass
class Connection:
    """A client with its own OAuth, and what the sign-in did."""

    fleet: Fleet
    folder: Path
    era: Era
    document: str | None = None
    stages: list[str] = field(default_factory=list[str])

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[Client[Any]]:
        url = f"{self.fleet.url}/mcp"
        progress = Progress(report=lambda stage, _: self.stages.append(stage))
        auth = SignIn(
            url,
            progress=progress,
            storage=file_store(self.folder),
            labels=("Allow", "Local User"),
            name="Test client",
            document=self.document,
        )
        transport = StreamableHttpTransport(url, auth=auth, httpx_client_factory=progress.http_client)
        async with Client(transport, mode=self.era) as client:
            yield client


async def scopes(client: Client[Any]) -> set[str]:
    found: Any = (await client.call_tool("whoami")).structured_content
    return set(found["scopes"])


async def work_everywhere(client: Client[Any], proxy: RoundRobin) -> None:
    """Calls a tool that needs the scope at each worker, and one that needs none."""
    before = proxy.served.copy()
    for number in range(WORKERS):
        assert (await client.call_tool("approve_order", {"number": number})).data == f"approved {number}"
        assert (await client.call_tool("add", {"a": number, "b": 1})).data == number + 1
    assert all(proxy.served[worker] > before[worker] for worker in proxy.served)


async def test_client_signs_in_again_by_itself_for_the_scope_of_a_tool(
    fleet: Fleet, proxy: RoundRobin, tmp_path: Path, era: Era
) -> None:
    connection = Connection(fleet, tmp_path, era)
    async with connection.open() as client:
        assert await scopes(client) == {"access_as_user"}
        assert connection.stages.count("token") == 1
        await work_everywhere(client, proxy)
        assert await scopes(client) == {"access_as_user", APPROVE}
    assert [connection.stages.count(stage) for stage in ("registration", "token", "refresh")] == [1, 2, 0]


async def test_client_that_starts_again_keeps_its_scopes_when_it_asks_for_another(
    fleet: Fleet, proxy: RoundRobin, tmp_path: Path, era: Era
) -> None:
    connection = Connection(fleet, tmp_path, era)
    async with connection.open() as client:
        assert await scopes(client) == {"access_as_user"}
        await work_everywhere(client, proxy)
    async with connection.open() as client:
        assert await scopes(client) == {"access_as_user", APPROVE}
        assert (await client.call_tool("delete_order", {"number": 1})).data == "deleted 1"
        assert await scopes(client) == {"access_as_user", APPROVE, DELETE}
        await work_everywhere(client, proxy)
    assert [connection.stages.count(stage) for stage in ("registration", "token")] == [1, 3]


async def test_client_signs_in_with_the_url_of_its_document_at_every_worker(
    fleet: Fleet, proxy: RoundRobin, documents: Documents, tmp_path: Path, era: Era
) -> None:
    url = documents.add(
        era,
        client_name="Documented client",
        redirect_uris=["http://localhost/callback"],
        grant_types=["authorization_code", "refresh_token"],
        token_endpoint_auth_method="none",
    )
    connection = Connection(fleet, tmp_path, era, document=url)
    async with documents.serving():
        async with connection.open() as client:
            assert await scopes(client) == {"access_as_user"}
            await work_everywhere(client, proxy)
        assert documents.fetched[url] == WORKERS, "each worker fetches it, and keeps it"
    assert [connection.stages.count(stage) for stage in ("registration", "token")] == [0, 2]


async def test_client_presents_identity_assertions_by_itself(
    fleet: Fleet, proxy: RoundRobin, tmp_path: Path, era: Era
) -> None:
    url = f"{fleet.url}/mcp"
    async with httpx2.AsyncClient(base_url=fleet.url) as http:
        registered = OAuthClient(http=http)
        await registered.register()
    given: list[str] = []

    async def ask_the_company(audience: str, resource: str) -> str:
        given.append(
            await asyncio.to_thread(
                fleet.standins.assertion,
                client_id=registered.client_id,
                audience=audience,
                resource=resource,
                scope=f"access_as_user {OPTIONAL}",
            )
        )
        return given[-1]

    auth = IdentityAssertionOAuthProvider(
        url,
        TokenStorageAdapter(file_store(tmp_path), url),
        client_id=registered.client_id,
        client_secret="clients have none here",
        issuer=f"{fleet.url}/",
        assertion_provider=ask_the_company,
        scope="access_as_user",
    )
    async with Client(StreamableHttpTransport(url, auth=auth), mode=era) as client:
        assert await scopes(client) == {"access_as_user"}
        assert len(given) == 1
        await work_everywhere(client, proxy)
        assert await scopes(client) == {"access_as_user", APPROVE}
    claims = [jwt.decode(each, options={"verify_signature": False}) for each in given]
    assert len({each["jti"] for each in claims}) == 2, "one for each token"
