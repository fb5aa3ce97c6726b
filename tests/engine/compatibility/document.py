"""Writes docs/clients.md from the record of the last run, and from the guides that the home page shows.

python -m tests.engine.compatibility.document
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from entra_mcp.web.connect import connection_guides
from local.config import REPOSITORY
from tests.engine.compatibility import record
from tests.engine.compatibility.drivers import DRIVERS
from tests.engine.compatibility.seen import OWN_WORDS
from tests.engine.real_clients import ASSUMED, RECORDED

DOCUMENT = REPOSITORY / "docs" / "clients.md"
TEXT = Path(__file__).with_name("clients.md")
"""What no run measures: the clicks of clients that need an account."""

EXAMPLES = Path(__file__).with_name("examples")
"""Programs of a user's own, as the document shows them."""

URL, SERVER = "https://mcp.contoso.com/mcp", "contoso"

COLUMNS = {
    "version": "version",
    "protocol": "protocol",
    "sign_in": "sign-in",
    "list": "lists tools",
    "call": "calls tools",
    "on_behalf": "calls on behalf",
    "progress": "shows progress",
    "redirect_uri": "redirect URI",
}
OWN_PROGRAMS = "programs-of-your-own"
SETUP = {
    "Claude Code": ("claude-code", "It shows tools to its model alone."),
    "Codex": ("codex", "`codex mcp login contoso` signs in again."),
    "Gemini CLI": ("gemini-cli", "It does not show why a sign-in was denied."),
    "opencode": ("opencode", "It shows tools to its model alone."),
    "MCP Inspector, web page": ("mcp-inspector", "It needs Node 22.19 or newer."),
    "MCP Inspector, command line": ("mcp-inspector", "It needs Node 22.19 or newer."),
    "mcp-remote": ("claude-desktop-and-others-that-only-start-programs", "It signs in for clients that cannot."),
    "FastMCP": (OWN_PROGRAMS, "It keeps the sign-in in memory unless it gets a `token_storage`."),
    "FastMCP with tasks": (OWN_PROGRAMS, "It gets long calls as background tasks, and can cancel them."),
    "MCP SDK for Python 2": (OWN_PROGRAMS, "Started again, it signs in instead of refreshing."),
    "MCP SDK for Python 1": (OWN_PROGRAMS, "Started again, it signs in instead of refreshing."),
    "MCP SDK for TypeScript 2": (
        OWN_PROGRAMS,
        'It speaks 2026-07-28 with `versionNegotiation: { mode: "auto" }` alone.',
    ),
    "MCP SDK for TypeScript 1": (OWN_PROGRAMS, "It speaks 2025-11-25 and older protocols."),
}
"""The heading with the lines that set a client up, as a link names it, and what its users should know."""
EVENTS = {
    "refresh": "its access token expired",
    "outage_refresh": "it expired during an outage",
    "rotated_key": "the signing key was rotated",
    "lost_storage": "the server lost its storage",
}
TASKS = {
    "task_handle": "its first status",
    "task_progress": "shows progress",
    "task_result": "gets the result",
    "task_cancelled": "says of a cancelled one",
}
REFUSALS = {
    "denied": "Somebody presses Deny on the consent page",
    "wrong_tenant": "The account is of another tenant",
    "missing_role": "A tool needs a role that the person lacks",
    "throttled": "Too many clients register (429)",
    "outage_call": "The server's storage is away (503), and the access token is still valid",
    "outage": "The server's storage is away (503), and the access token has expired",
}


def document() -> str:
    """The whole document."""
    recorded = record.read()
    seen = {driver.name: recorded[driver.name] for driver in DRIVERS}
    parts = {
        "{tested}": table(
            ["client", *COLUMNS.values(), "note"],
            [[f"[{name}](#{SETUP[name][0]})", *cells(of, COLUMNS), SETUP[name][1]] for name, of in seen.items()],
        ),
        "{events}": table(
            ["client", *(f"after {what}" for what in EVENTS.values())],
            [[name, *(event(of, key) for key in EVENTS)] for name, of in seen.items()],
        ),
        "{tasks}": table(
            ["client", *TASKS.values()],
            [[name, *cells(of, TASKS)] for name, of in seen.items() if TASKS.keys() <= of.keys()],
        ),
        "{refusals}": "\n\n".join(
            f"### {what}\n\n{table(['client', 'what it says'], [[name, code(of[key])] for name, of in seen.items()])}"
            for key, what in REFUSALS.items()
        ),
        "{guides}": "\n\n".join(
            f"### {guide.client}\n\n{guide.where}:\n\n```text\n{guide.text}\n```"
            + (f"\n\nOr open this link:\n\n```text\n{guide.install}\n```" if guide.install else "")
            for guide in connection_guides(URL, SERVER)
        ),
        **{f"{{{file.stem}}}": file.read_text("utf-8").strip() for file in EXAMPLES.glob("*.py")},
        "{redirects}": table(
            ["client", "admitted by", "redirect URI", "source"],
            [
                [name, f"`{of.entry}`", "<br>".join(f"`{uri}`" for uri in of.redirect_uris), of.source]
                for name, of in (RECORDED | ASSUMED).items()
            ],
        ),
    }
    text = TEXT.read_text("utf-8")
    for mark, part in parts.items():
        text = text.replace(mark, part)
    return text


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table of Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cells(seen: dict[str, Any], columns: dict[str, str]) -> list[str]:
    """What a row shows of one client."""
    found = [str(seen[name] or "not shown") for name in columns]
    return [f"`{text}`" if "://" in text else text for text in found]


def event(seen: dict[str, Any], key: str) -> str:
    """How the client comes in again, and what it says when it does not at once."""
    said = seen.get(f"{key}_message")
    return f"{seen[key]}; says {code(said)}" if said else seen[key]


def code(message: str) -> str:
    """A message as it is, on one line of a table; what no client says itself is no code."""
    if message in OWN_WORDS:
        return message
    return f"`{message.replace('`', "'").replace('|', '/')}`" if message else "nothing"


def write() -> None:
    """Writes the document."""
    DOCUMENT.write_text(document(), "utf-8")


if __name__ == "__main__":
    write()
