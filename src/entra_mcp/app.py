"""The composition root: puts everything together, in the order in which one part depends on another."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from starlette.middleware import Middleware
from starlette.routing import Route, Router

from entra_mcp.auth.assembly import Collaborators, create_verifier, open_auth
from entra_mcp.errors import ComponentsError, StorageError
from entra_mcp.functions import Lifespan, WebServer
from entra_mcp.functions.log_lines import kept_lines_at_the_end
from entra_mcp.http_client import http_client
from entra_mcp.identity import azure_credential
from entra_mcp.ownership import owner_of
from entra_mcp.server.components import declares_tasks, find_components, task_tools
from entra_mcp.server.create import create_server
from entra_mcp.server.request_state import StateSecurity
from entra_mcp.server.services import open_services
from entra_mcp.server.sessions import SessionStore
from entra_mcp.server.tool_scopes import offer_scoped_tools
from entra_mcp.server.warmup import warm_up
from entra_mcp.settings import AuthMode, Settings, load, unknown_names
from entra_mcp.storage.cache import CachedStore
from entra_mcp.storage.encryption import RowCipher
from entra_mcp.storage.ledger import Ledger
from entra_mcp.storage.owners import OwnerMarks
from entra_mcp.storage.purge import PurgeSummary, purge
from entra_mcp.storage.store import TableStore
from entra_mcp.storage.table import Table
from entra_mcp.tasks.callers import Callers
from entra_mcp.tasks.parts import TaskParts, add_tasks
from entra_mcp.tasks.queue import open_queue
from entra_mcp.tasks.rows import TaskRows
from entra_mcp.telemetry import Work, configure_logging, start_telemetry
from entra_mcp.vault.client import Vault
from entra_mcp.vault.rotation import CurrentSecrets
from entra_mcp.web.health import Readiness
from entra_mcp.web.home import HomePage
from entra_mcp.web.metadata import metadata_aliases
from entra_mcp.web.pages.layout import Brand
from entra_mcp.web.paths import HEALTH, MCP, READINESS
from entra_mcp.web.rate_limits import CallLimit, TokenBuckets
from entra_mcp.web.stack import protect
from entra_mcp.web.startup import alive, startup_failed
from entra_mcp.web.step_up import StepUp

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping

    from starlette.types import ASGIApp

    from entra_mcp.definition import Server
    from entra_mcp.settings import AppSettings
    from entra_mcp.tasks.runner import Runner

__all__ = ["PROBES", "purge_expired", "running_app", "serve", "startup_failed"]

PROBES: Mapping[str, ASGIApp] = {HEALTH: alive}
"""What answers by path without waiting for the start-up."""

PURGE_BUDGET_SECONDS = 240.0
"""How long one purge may run; the timer fires every hour, and each run begins somewhere else."""

logger = logging.getLogger(__name__)


def serve(definition: Server[Any]) -> FunctionsApp:
    """Returns the application for the Functions host; it starts when the worker does, and again after a failure."""
    app = FunctionsApp(definition)
    WebServer.on_start(app.start)
    return app


class FunctionsApp(Lifespan):
    """The ASGI application of a definition, and its background tasks."""

    def __init__(self, definition: Server[Any]) -> None:
        self.has_tasks = False
        with suppress(ComponentsError):  # a faulty module is named at the start-up
            self.has_tasks = declares_tasks(find_components(definition.components))
        self._runner: Runner | None = None
        super().__init__(
            lambda: running_app(definition, on_tasks=self._have_runner), on_failure=startup_failed, probes=PROBES
        )

    async def task_runner(self) -> Runner:
        """Returns what runs tasks, when the application has started.

        Raises:
            EntraMcpError: it did not start, or has no tasks.
        """
        await self.started()
        if self._runner is None:
            raise ComponentsError(["no tool is declared with task=True"])
        return self._runner

    def _have_runner(self, runner: Runner) -> None:
        self._runner = runner


@asynccontextmanager
async def running_app(
    definition: Server[Any], *, on_tasks: Callable[[Runner], None] | None = None
) -> AsyncGenerator[ASGIApp]:
    """Starts the server and yields its ASGI application; leaving the context stops it.

    `on_tasks` gets what runs background tasks, where a tool is declared for them.

    Raises:
        SettingsError: the environment is faulty.
        ComponentsError: a module of the app is.
        DependencyError: Key Vault or Table Storage is out of reach, or lacks something.
    """
    async with AsyncExitStack() as stack:
        starting = stack.enter_context(ExitStack())
        starting.callback(gc.enable)
        configure_logging()
        settings, app_settings = load_settings(definition)
        telemetry = start_telemetry(settings)
        brand = Brand(name=settings.server_name, icon=definition.icon, accent=definition.accent)
        starting.enter_context(telemetry.watched(Work.START))
        credential = await stack.enter_async_context(azure_credential(settings))
        vault = await stack.enter_async_context(Vault(url=settings.key_vault_url, credential=credential))
        table = await stack.enter_async_context(open_table(settings))
        http = await stack.enter_async_context(http_client(timeout=5.0))
        read = partial(vault.read, client_secret=settings.auth_mode is AuthMode.PROXY)
        reaching = await stack.enter_async_context(running(reach(table, create=settings.create_table)))
        secrets = CurrentSecrets(await read(), read=read)
        await reaching
        cipher, marks = RowCipher(secrets), OwnerMarks(secrets)
        store = TableStore(table=table, cipher=cipher, marks=marks, owner_of=owner_of)
        verifier = create_verifier(settings, http_client=http)
        cached = CachedStore(store, seconds=settings.upstream_token_cache_seconds, metrics=telemetry.metrics)
        parts = Collaborators(
            secrets=secrets,
            store=cached,
            ledger=Ledger(table=table, cipher=cipher),
            verifier=verifier,
            identity=credential,
            http_client=http,
            metrics=telemetry.metrics,
            brand=brand,
        )
        sessions = SessionStore(store, visibility_rules=settings.visibility_rules)
        auth = await stack.enter_async_context(open_auth(settings, parts))
        opening = open_services(
            definition, settings=settings, app_settings=app_settings, auth=auth, identity=credential
        )
        services = await stack.enter_async_context(opening)
        server = create_server(
            definition,
            settings,
            auth=auth,
            request_state=StateSecurity(secrets),
            session_store=sessions,
            services=services,
        )
        if tools := await task_tools(server):
            queue = await stack.enter_async_context(open_queue(settings))
            if settings.create_table:
                await queue.create()
            rows = TaskRows(table=table, cipher=cipher, marks=marks)
            runner = add_tasks(server, TaskParts(rows=rows, queue=queue, callers=Callers(auth)), tools=tools)
            if on_tasks is not None:
                on_tasks(runner)
        telemetry.observe(server)
        scoped = await offer_scoped_tools(server, offered=settings.offered_scopes)
        limit = Middleware(CallLimit, by_caller=TokenBuckets(per_minute=settings.calls_per_minute))
        mcp_app = server.http_app(path=MCP, stateless_http=True, middleware=[limit])
        # Off, because the redirect to the path without the slash would name http: this side of Azure's front end does
        # not know that the client came over https, and a client that follows would send its code or token in clear.
        mcp_app.router.redirect_slashes = False
        checks = {"table_storage": table.check, "key_vault": vault.check, "entra_signing_keys": verifier.check}
        app = Router(
            routes=[
                Route("/", HomePage(settings, brand=brand).show),
                Route(READINESS, Readiness(checks).answer),
                *metadata_aliases(auth),
            ],
            redirect_slashes=False,
            default=mcp_app,  # not mounted, since a mount takes the methods that the routes above do not
        )
        await warm_up(server)
        keep_for_good()
        starting.close()
        await stack.enter_async_context(mcp_app.lifespan(mcp_app))
        await stack.enter_async_context(running(secrets.follow()))
        logger.info("%s is up at %s (%s mode).", settings.server_name, settings.mcp_url, settings.auth_mode)
        routes = {route.path for route in (*app.routes, *mcp_app.routes) if isinstance(route, Route)}
        step_up = StepUp(scoped, mcp_url=settings.mcp_url, requested=auth.get_challenge_scopes) if scoped else None
        protected = protect(app, settings=settings, brand=brand, step_up=step_up)
        yield telemetry.at_the_edge(protected, routes=routes)


def keep_for_good() -> None:
    """Has Python never look for garbage among what is there by now, where `function_app.py` has stopped it until here.

    Nearly all of that stays for as long as the process does, and each look through it is a pause of all requests. After
    a start that failed, Python looks as it always does.
    """
    if not gc.isenabled():
        gc.freeze()


def load_settings(definition: Server[Any]) -> tuple[Settings, AppSettings]:
    """Reads the engine's settings and the app's, and warns of names that nobody reads.

    Raises:
        SettingsError: with every fault of both.
    """
    settings, app_settings = load(Settings, definition.settings)
    for notice in unknown_names(os.environ, Settings.names() | definition.settings.names()):
        logger.warning("%s", notice)
    return settings.model_copy(update={"server_name": settings.server_name or definition.name}), app_settings


async def purge_expired() -> None:
    """Deletes expired rows. A timer runs this, often on another instance than the one that serves requests."""
    settings = Settings.load()
    telemetry = start_telemetry(settings)
    summary = PurgeSummary()
    try:
        with kept_lines_at_the_end(), telemetry.watched(Work.PURGE):
            async with open_table(settings) as table:
                await purge(table, budget_seconds=PURGE_BUDGET_SECONDS, summary=summary)
    finally:
        logger.info(
            "Purge: %d rows deleted, %d renewed meanwhile, %.1f s, %s.",
            summary.deleted,
            summary.kept,
            summary.seconds,
            "finished" if summary.finished else "to be continued",
        )
        telemetry.metrics.purged(summary)
        # An instance that only came for the timer may be gone before the next regular sending.
        await telemetry.flush()


@asynccontextmanager
async def open_table(settings: Settings) -> AsyncGenerator[Table]:
    """Yields the table of the settings, reached with an identity or with a connection string."""
    async with AsyncExitStack() as stack:
        if settings.table_service_uri is not None:
            credential = azure_credential(settings, client_id=settings.storage_client_id)
            await stack.enter_async_context(credential)
            table = Table.from_identity(settings.table_service_uri, name=settings.table_name, credential=credential)
        else:
            connection = settings.storage_connection_string
            text = connection.get_secret_value() if connection else ""
            table = Table.from_connection_string(text, name=settings.table_name)
        yield await stack.enter_async_context(table)


async def reach(table: Table, *, create: bool) -> None:
    """Creates the table, or opens the connection to it, so that the first user need not wait for it.

    A table that does not answer is no reason not to start: readiness names it, and what needs no table works.

    Raises:
        StorageError: the table cannot be created.
    """
    if create:
        await table.create()
        return
    try:
        await table.check()
    except StorageError as error:
        logger.warning("Table Storage does not answer yet, so the first user waits longer: %s", error)


@asynccontextmanager
async def running(work: Coroutine[None, None, None]) -> AsyncGenerator[asyncio.Task[None]]:
    """Runs the work beside the block, and cancels it when the block ends."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
