"""What this server is. The engine takes all that it needs to know from here."""

from __future__ import annotations

from app import prompts, resources, tools
from app.completions import complete
from entra_mcp.definition import Server

INSTRUCTIONS = """\
Tools that act for the person who signed in with Microsoft Entra ID. Ask `whoami` who that is. When a tool answers with
an address to open, show it to the person: only they can sign in and consent there.
"""

server = Server(
    name="Entra MCP Server",
    instructions=INSTRUCTIONS,
    components=(tools, resources, prompts),
    complete=complete,
)
