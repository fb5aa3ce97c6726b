"""What the conformance suite calls (https://github.com/modelcontextprotocol/conformance says what each has to do)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.engine.conformance.app import content, rounds

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastmcp import FastMCP


def with_fixtures(create_server: Callable[..., FastMCP]) -> Callable[..., FastMCP]:
    """The function that makes the server, with the fixtures added to what it makes."""

    def create(*arguments: Any, **named: Any) -> FastMCP:  # noqa: ANN401 - passed on as they are
        server = create_server(*arguments, **named)
        content.register(server)
        rounds.register(server)
        return server

    return create
