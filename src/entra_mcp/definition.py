"""What an app hands to the engine: one object that says what this server is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from entra_mcp.settings import AppSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from contextlib import AbstractAsyncContextManager
    from types import ModuleType

    from azure.core.credentials_async import AsyncTokenCredential
    from fastmcp.server.completions import CompletionHandler
    from fastmcp.server.middleware import Middleware
    from fastmcp.server.providers import Provider

    from entra_mcp.settings import Settings

ICON = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64" role="img" aria-label="MCP server">
<defs><linearGradient id="g" x1="0" y1="0" x2="1" y2="1">
<stop offset="0" stop-color="#2563eb"/><stop offset="1" stop-color="#7c3aed"/></linearGradient></defs>
<rect width="64" height="64" rx="14" fill="url(#g)"/>
<g fill="none" stroke="#fff" stroke-width="4.5" stroke-linecap="round" stroke-linejoin="round">
<path d="M32 12 48 18v12c0 10-6.5 17.5-16 22-9.5-4.5-16-12-16-22V18Z"/><path d="m24.5 31.5 5.5 5.5 10-11"/></g></svg>
""".replace("\n", "")

ACCENT = ("#1d4ed8", "#8fb3ff")


@dataclass(frozen=True, slots=True, kw_only=True)
class Startup[S: AppSettings]:
    """What an app's services are opened with."""

    settings: S
    """The app's own settings."""
    engine: Settings
    """The engine's settings."""
    identity: AsyncTokenCredential
    """The managed identity in Azure; elsewhere whoever is signed in, with `az login` for instance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server[S: AppSettings = AppSettings]:
    """An MCP server: its name, its tools, its settings, and what is opened once for each process.

    Only the name and the instructions are needed; a server without components starts, and offers nothing.
    """

    name: str
    """Shown to people on the consent page and in their clients, unless `MCP_SERVER_NAME` is set."""

    instructions: str
    """What clients say to their model about the server as a whole."""

    icon: str = ICON
    """An SVG drawing of the server, for clients and pages."""

    accent: tuple[str, str] = ACCENT
    """The colour of buttons and links on the pages, on a light ground and on a dark one, as CSS writes them."""

    components: Sequence[ModuleType] = ()
    """Packages whose modules hold the tools, resources and prompts, as FastMCP's decorators leave them."""

    providers: Sequence[Provider] = ()
    """What serves further components: another MCP server, or an API described by OpenAPI."""

    complete: CompletionHandler | None = None
    """Suggests values for the arguments of prompts and resource templates."""

    middleware: Sequence[Middleware] = ()
    """FastMCP's middleware, the outermost first."""

    dereference_schemas: bool = True
    """Whether clients get the schemas of tools without `$ref`, which some of them do not follow."""

    settings: type[S] = cast("type[S]", AppSettings)  # noqa: RUF009 - a class, not an instance of one
    """The class of the app's own settings."""

    services: Callable[[Startup[S]], AbstractAsyncContextManager[Iterable[object]]] | None = None
    """Opens what tools ask for with `Service`: once, before the first request, and closes it at the end."""
