"""What the engine is handed in its own tests."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import entra_mcp.app
from entra_mcp.definition import Server
from tests.support.app import components

if TYPE_CHECKING:
    from mcp.types import CompletionArgument, CompletionContext, PromptReference, ResourceTemplateReference


def complete(
    reference: PromptReference | ResourceTemplateReference,
    argument: CompletionArgument,
    context: CompletionContext | None,
) -> list[str]:
    """Suggests regions to everybody."""
    return [region for region in ("asia", "europe") if region.startswith(argument.value)]


SERVER = Server(name="Test server", instructions="Tools for tests.", components=(components,), complete=complete)

running_app = partial(entra_mcp.app.running_app, SERVER)
"""Starts the whole application with that app."""
