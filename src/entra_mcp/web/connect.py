"""How to connect each well-known client, ready to paste or to follow; on the home page, and shown by the local run."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from dataclasses import dataclass
from urllib.parse import quote

from entra_mcp.urls import is_loopback


@dataclass(frozen=True, slots=True)
class ConnectionGuide:
    """One client, the place in it, the text to paste there, and the link that its maker defines, if any."""

    client: str
    where: str
    text: str
    install: str = ""
    """Opens the client, which asks before it adds the server."""


def connection_guides(mcp_url: str, server_name: str) -> tuple[ConnectionGuide, ...]:
    """Returns the guides for a server at `mcp_url`; the server's name becomes its entry in the client's list."""
    name = re.sub(r"[^a-z0-9]+", "-", server_name.lower()).strip("-") or "mcp-server"
    vscode = {"name": name, "type": "http", "url": mcp_url}
    hosted = () if is_loopback(mcp_url) else _hosted(mcp_url)
    cursor = b64encode(json.dumps({"url": mcp_url}).encode()).decode()
    return (
        ConnectionGuide(
            client="VS Code",
            where=".vscode/mcp.json, or the command MCP: Open User Configuration",
            text=_json({"servers": {name: {"type": "http", "url": mcp_url}}}),
            # https://code.visualstudio.com/api/extension-guides/ai/mcp#create-an-mcp-installation-url
            install=f"vscode:mcp/install?{quote(json.dumps(vscode), safe='')}",
        ),
        ConnectionGuide(
            client="Cursor",
            where="~/.cursor/mcp.json",
            text=_json({"mcpServers": {name: {"url": mcp_url}}}),
            # https://cursor.com/docs/context/mcp/install-links
            install=f"cursor://anysphere.cursor-deeplink/mcp/install?name={name}&config={quote(cursor, safe='')}",
        ),
        *hosted,
        ConnectionGuide(
            client="Claude Code",
            where="In a terminal; it opens the browser to sign in",
            text=f"claude mcp add --transport http {name} {mcp_url} && claude mcp login {name}",
        ),
        ConnectionGuide(
            client="Codex",
            where="In a terminal; it opens the browser to sign in",
            text=f"codex mcp add {name} --url {mcp_url}",
        ),
        ConnectionGuide(
            client="Gemini CLI",
            where=f"In a terminal; then start gemini, and /mcp auth {name} to sign in",
            text=f"gemini mcp add --scope user --transport http {name} {mcp_url}",
        ),
        ConnectionGuide(
            client="opencode",
            where=f"~/.config/opencode/opencode.json; then opencode mcp auth {name} to sign in",
            text=_json({"mcp": {name: {"type": "remote", "url": mcp_url}}}),
        ),
        ConnectionGuide(
            client="Claude Desktop, and others that only start programs",
            where="Settings > Developer > Edit Config (claude_desktop_config.json)",
            text=_json({"mcpServers": {name: {"command": "npx", "args": ["-y", "mcp-remote", mcp_url]}}}),
        ),
        ConnectionGuide(
            client="MCP Inspector",
            where="In a terminal (it needs Node 22.19 or newer), then flip the switch of the server",
            text=f"npx @modelcontextprotocol/inspector --transport http --server-url {mcp_url}",
        ),
    )


def _hosted(mcp_url: str) -> tuple[ConnectionGuide, ...]:
    """Clients whose own servers connect, and so reach no machine of a user."""
    return (
        ConnectionGuide(
            client="Claude",
            where="On the web or the desktop: Settings > Connectors > Add custom connector, with this address",
            text=mcp_url,
        ),
        ConnectionGuide(
            client="ChatGPT",
            where="Settings > Apps & Connectors > Advanced settings > Developer mode; then Create, with this address",
            text=mcp_url,
        ),
    )


def _json(value: object) -> str:
    return json.dumps(value, indent=2)
