"""What a request passes, and in which order: docs/security.md lists it, and why."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from starlette.routing import Route, Router

from entra_mcp.web.pages.layout import Brand
from entra_mcp.web.paths import MCP
from entra_mcp.web.stack import protect
from local.config import REPOSITORY
from tests.support.settings import working_settings

if TYPE_CHECKING:
    import pytest
    from starlette.types import Receive, Scope, Send


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """What is protected."""


def classes(app: Any) -> tuple[list[str], Any]:  # noqa: ANN401 - each middleware has another one inside
    """The names from the outside in, as far as there is one way, and what comes then."""
    found: list[str] = []
    while hasattr(app, "app") and not isinstance(app, Router):
        found.append(type(app).__name__)
        app = app.app
    return found, app


def documented() -> list[list[str]]:
    """The names of each table of the document."""
    text = (REPOSITORY / "docs" / "security.md").read_text("utf-8")
    section = text[text.index("## What every request passes") :]
    tables = section.split("| middleware | what it does |")[1:]
    return [re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) for table in tables]


def test_middleware_is_in_the_order_that_the_document_has(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = working_settings(monkeypatch, MCP_ALLOWED_ORIGINS="https://app.contoso.com")
    outside, paths = classes(protect(application, settings=settings, brand=Brand(name="Test")))
    assert isinstance(paths, Router)
    (route,) = paths.routes
    assert isinstance(route, Route)
    assert route.path == MCP
    calls, sign_ins = classes(route.app), classes(paths.default)
    assert calls[1] is sign_ins[1] is application
    assert documented() == [outside, [*calls[0], "CallLimit"], sign_ins[0]], "the call limit is inside the MCP server"
