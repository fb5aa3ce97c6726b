"""For administrators alone: who lacks the app role in Entra ID can neither call this tool nor see it."""

from __future__ import annotations

import os
import socket
from datetime import UTC, datetime

from fastmcp.server.auth import require_roles
from fastmcp.tools import tool
from mcp.types import ToolAnnotations
from pydantic import BaseModel, Field

from entra_mcp.downstream import Downstream
from entra_mcp.toolkit import Service, glyph

ADMIN_ROLE = "Admin"
"""The `value` of the app role in the registration
(https://learn.microsoft.com/entra/identity-platform/howto-add-app-roles-in-apps)."""


class Stats(BaseModel):
    """What the instance that answers knows of itself; the next call may be answered by another one."""

    host: str
    process: int
    since: datetime = Field(description="When this instance started to serve.")
    tokens_kept: int = Field(description="Tokens for other APIs that it remembers.")
    token_hits: int = Field(description="How often it had the token already.")
    token_exchanges: int = Field(description="How often it had to ask Entra ID.")


@tool(
    auth=require_roles(ADMIN_ROLE, extract=lambda claims: claims["roles"]),
    icons=[glyph("M4 20V10", "M10 20V4", "M16 20v-8", "M22 20H2")],
    annotations=ToolAnnotations(read_only_hint=True, open_world_hint=False),
)
async def admin_stats(downstream: Downstream = Service(Downstream)) -> Stats:
    """Show how the instance that serves you is doing. For administrators."""
    counts = downstream.tokens.counts
    return Stats(
        host=socket.gethostname(),
        process=os.getpid(),
        since=datetime.fromtimestamp(counts.since, UTC),
        tokens_kept=len(downstream.tokens),
        token_hits=counts.hits,
        token_exchanges=counts.exchanges,
    )
