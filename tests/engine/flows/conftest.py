"""The whole application over ASGI, against Azurite and the stand-ins."""

from __future__ import annotations

import asyncio
import inspect
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx2
import pytest
import pytest_asyncio
from fastmcp.utilities.asgi_transport import StreamingASGITransport

from entra_mcp.app import PROBES, startup_failed
from entra_mcp.functions.lifespan import Lifespan
from tests.support.app.server import running_app
from tests.support.fault_proxy import FaultProxy, fault_proxy
from tests.support.oauth import OAuthClient
from tests.support.tasks import in_own_task
from tests.support.telemetry import keep_in_memory, watching

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator

    from starlette.types import ASGIApp

    from tests.support.standins import StandIns
    from tests.support.telemetry import Seen

BASE_URL = "http://localhost:7071"

COLLECTOR = "http://127.0.0.1:9"
"""Named so that telemetry is on; what would be sent there stays in memory."""

OWN = frozenset({"azurite", "environment", "monkeypatch"})
"""Arguments of a test that has a say in the application's environment or constants, or reads its table."""


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: pytest.Collector, name: str, obj: object) -> None:
    """Runs the tests of one file on one event loop, since they share an application."""
    if name.startswith("test_") and inspect.iscoroutinefunction(obj) and collector.path.parent == Path(__file__).parent:
        pytest.mark.asyncio(loop_scope="module")(obj)


def usual_environment(standins: StandIns, azurite: str) -> dict[str, str]:
    """The application's environment, with a table of its own."""
    return {
        **standins.environment(),
        "MCP_BASE_URL": BASE_URL,
        "AzureWebJobsStorage": azurite,
        "MCP_TABLE_NAME": f"T{uuid4().hex}",
        "MCP_CREATE_TABLE": "true",
        "MCP_REGISTRATIONS_PER_MINUTE": "100000",
        "MCP_REGISTRATIONS_PER_MINUTE_OVERALL": "100000",
    }


@pytest.fixture
def environment(azurite: str, standins: StandIns, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets the application's environment: a table of its own, and the given changes (None removes)."""

    def set_environment(**changes: str | None) -> None:
        for name, value in {**usual_environment(standins, azurite), **changes}.items():
            if value is None:
                monkeypatch.delenv(name, raising=False)
            else:
                monkeypatch.setenv(name, value)

    return set_environment


@pytest.fixture
def app(request: pytest.FixtureRequest) -> ASGIApp:
    """The application that the tests of a file share, or one of the test's own."""
    own = OWN.intersection(inspect.signature(request.function).parameters)
    return request.getfixturevalue("own_app" if own else "shared_app")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_app(azurite: str, standins: StandIns) -> AsyncIterator[ASGIApp]:
    async with in_a_worker() as app:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in usual_environment(standins, azurite).items():
                patch.setenv(name, value)
            app.start()
            async with over(app) as http:
                await http.get("/readyz")
        yield app


@pytest_asyncio.fixture(loop_scope="module")
async def own_app(environment: Callable[..., None]) -> AsyncIterator[ASGIApp]:
    environment()
    async with in_a_worker() as app:
        app.start()
        yield app


@asynccontextmanager
async def in_a_worker() -> AsyncGenerator[Lifespan]:
    """The application as in a Functions worker, which starts it."""
    lifespan = Lifespan(running_app, on_failure=startup_failed, probes=PROBES)
    yield lifespan
    await lifespan.aclose()


def over(app: ASGIApp, *, base_url: str = BASE_URL) -> httpx2.AsyncClient:
    """A client of an application, with cookies of its own."""
    return httpx2.AsyncClient(transport=StreamingASGITransport(app), base_url=base_url, timeout=30)


@asynccontextmanager
async def started(environment: Callable[..., None], **changes: str | None) -> AsyncGenerator[OAuthClient]:
    """An application of the test's own, in the environment with these changes; yields a client of it."""
    environment(**changes)
    async with running_app() as app, over(app) as http:
        yield OAuthClient(http=http)


@asynccontextmanager
async def proxied(
    environment: Callable[..., None], azurite: str, **changes: str | None
) -> AsyncGenerator[tuple[FaultProxy, OAuthClient]]:
    """The same with a proxy before its storage, which counts requests and fails as asked."""
    async with (
        fault_proxy(azurite) as (proxy, through),
        started(environment, AzureWebJobsStorage=through, **changes) as client,
    ):
        yield proxy, client


@pytest_asyncio.fixture(loop_scope="module")
async def http(app: ASGIApp) -> AsyncIterator[httpx2.AsyncClient]:
    async with in_own_task(over(app)) as http:
        # A test that ends before the start-up has would break it off, connections and all.
        await http.get("/readyz")
        yield http


@pytest.fixture
def client(http: httpx2.AsyncClient) -> OAuthClient:
    return OAuthClient(http=http)


@pytest.fixture(scope="session")
def memory() -> Seen:
    return keep_in_memory()


@pytest.fixture
def seen(memory: Seen) -> Iterator[Seen]:
    with watching(memory):
        yield memory


@pytest_asyncio.fixture(loop_scope="module")
async def entra(standins: StandIns) -> AsyncIterator[Callable[..., Awaitable[Any]]]:
    """The control API of the Entra stand-in; faults that are left are cleared."""

    async def control(method: str, path: str, body: dict[str, Any] | None = None) -> Any:  # noqa: ANN401 - any JSON
        return await asyncio.to_thread(standins.control, method, path, body)

    yield control
    await control("DELETE", "/faults")
