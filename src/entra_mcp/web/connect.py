"""How to connect each well-known client, ready to paste; shown on the home page and by the local run."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ConnectionGuide:
    """One client, the place in it, and the text to paste there."""

    client: str
    where: str
    text: str


def connection_guides(mcp_url: str, server_name: str) -> tuple[ConnectionGuide, ...]:
    """Returns the guides for a server at `mcp_url`; the server's name becomes its entry in the client's list."""
    name = re.sub(r"[^a-z0-9]+", "-", server_name.lower()).strip("-") or "mcp-server"
    return (
        ConnectionGuide(
            client="VS Code",
            where=".vscode/mcp.json, or the command MCP: Open User Configuration",
            text=json.dumps({"servers": {name: {"type": "http", "url": mcp_url}}}, indent=2),
        ),
        ConnectionGuide(
            client="Claude Code",
            where="In a terminal, then /mcp inside to sign in",
            text=f"claude mcp add --transport http {name} {mcp_url}",
        ),
        ConnectionGuide(
            client="Claude Desktop",
            where="Settings > Developer > Edit Config (claude_desktop_config.json)",
            text=json.dumps(
                {"mcpServers": {name: {"command": "npx", "args": ["-y", "mcp-remote", mcp_url]}}}, indent=2
            ),
        ),
        ConnectionGuide(
            client="Cursor",
            where="~/.cursor/mcp.json",
            text=json.dumps({"mcpServers": {name: {"url": mcp_url}}}, indent=2),
        ),
        ConnectionGuide(
            client="MCP Inspector",
            where="In a terminal (it needs Node 22.19 or newer), then choose Connect",
            text=f"npx @modelcontextprotocol/inspector --transport http --server-url {mcp_url}",
        ),
    )
