"""What the conformance suite calls (https://github.com/modelcontextprotocol/conformance says what each has to do)."""

from __future__ import annotations

from fastmcp.server.providers import LocalProvider

from entra_mcp.definition import Server
from tests.engine.conformance.app import background, content, rounds, schemas


def conformance_server() -> Server:
    """A server with the tools, resources and prompts that the suite calls by name."""
    fixtures = LocalProvider()
    content.register(fixtures)
    rounds.register(fixtures)
    schemas.register(fixtures)
    return Server(
        name="Conformance",
        instructions="Fixtures.",
        components=(background,),
        providers=(fixtures,),
        complete=content.completed,
        dereference_schemas=False,
    )
