"""An application behind the edge of the server and its error answers, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from entra_mcp.web.edge import Edge
from entra_mcp.web.error_answers import ErrorAnswers
from entra_mcp.web.pages.layout import Brand

if TYPE_CHECKING:
    from starlette.types import ASGIApp


def edged(app: ASGIApp) -> ASGIApp:
    """The application, whose requests have a scope of their own."""
    app = ErrorAnswers(app, brand=Brand(name="S"))
    return Edge(app, https=False)
