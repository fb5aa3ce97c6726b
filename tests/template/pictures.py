"""Draws the pictures of the README: `python -m tests.template.pictures architecture`, and `... terminal`.

The terminal is a recording: it runs `make run CHECK=1`, and shows each line of its output in the pace it came. Long
pauses are shortened.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from html import escape

from local.config import REPOSITORY

PICTURES = REPOSITORY / "docs" / "pictures"
COMMAND = ("make", "run", "CHECK=1")
MAX_PAUSE_SECONDS = 0.7
OF_THIS_MACHINE = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
"""Variables that the run would name as not taken from the shell."""

LIGHT = {
    "back": "#ffffff",
    "card": "#f6f8fa",
    "line": "#d0d7de",
    "text": "#1f2328",
    "soft": "#57606a",
    "accent": "#0969da",
    "own": "#dafbe1",
    "own-line": "#1a7f37",
}
DARK = {
    "back": "#0d1117",
    "card": "#161b22",
    "line": "#3d444d",
    "text": "#f0f6fc",
    "soft": "#9198a1",
    "accent": "#4493f8",
    "own": "#12261e",
    "own-line": "#3fb950",
}

FONT = "system-ui, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif"
MONOSPACE = "ui-monospace, 'SF Mono', Menlo, Consolas, 'Liberation Mono', monospace"
COLUMNS, LINE_HEIGHT, CHARACTER = 104, 18, 7.83
ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle with a title, and lines of smaller text below it; positions and sizes in pixels."""

    x: int
    y: int
    width: int
    height: int
    title: str
    lines: tuple[str, ...] = ()
    kind: str = "card"

    def svg(self) -> str:
        line = "own-line" if self.kind == "own" else "line"
        texts = [f'<text class="title" x="{self.x + 14}" y="{self.y + 25}">{escape(self.title)}</text>']
        texts += [
            f'<text class="small" x="{self.x + 14}" y="{self.y + 45 + 18 * number}">{escape(text)}</text>'
            for number, text in enumerate(self.lines)
        ]
        rectangle = f'<rect x="{self.x}" y="{self.y}" width="{self.width}" height="{self.height}" rx="8"'
        return f'{rectangle} fill="var(--{self.kind})" stroke="var(--{line})"/>{"".join(texts)}'


BOXES = (
    Box(20, 116, 180, 112, "MCP clients", ("VS Code, Claude,", "ChatGPT, Cursor,", "Copilot Studio, yours")),
    Box(300, 30, 370, 300, "Azure Functions, Flex Consumption", (), "back"),
    Box(320, 72, 150, 110, "OAuth", ("register, consent,", "authorize, token,", "refresh, revoke")),
    Box(490, 72, 160, 110, "MCP", ("FastMCP, HTTP,", "streamed progress,", "any instance")),
    Box(
        320,
        206,
        330,
        92,
        "Your tools",
        ("src/app: functions that know who is calling", "tests/app: their tests"),
        "own",
    ),
    Box(764, 30, 200, 90, "Microsoft Entra ID", ("people sign in,", "Conditional Access")),
    Box(764, 214, 200, 84, "Other APIs", ("Microsoft Graph, yours:", "called as the person")),
    Box(320, 390, 160, 72, "Table Storage", ("encrypted sign-ins",)),
    Box(500, 390, 160, 72, "Key Vault", ("signing key, secret",)),
    Box(764, 390, 200, 72, "Application Insights", ("log, traces, metrics",)),
)
ARROWS = (
    (200, 165, 316, 125, "1 sign in", 206, 126),
    (200, 195, 300, 195, "2 call", 214, 216),
    (670, 75, 760, 75, "sign-in", 686, 65),
    (650, 261, 760, 261, "on behalf of", 677, 250),
    (400, 330, 400, 386, "", 0, 0),
    (580, 330, 580, 386, "", 0, 0),
    (670, 322, 800, 386, "", 0, 0),
)


def architecture(colors: dict[str, str]) -> str:
    """The picture in these colours."""
    body = "".join(box.svg() for box in BOXES)
    for x1, y1, x2, y2, label, x, y in ARROWS:
        body += f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="var(--accent)" marker-end="url(#tip)"/>'
        body += f'<text class="small" x="{x}" y="{y}">{label}</text>' if label else ""
    for name, color in colors.items():
        body = body.replace(f"var(--{name})", color)
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 980 490" role="img" aria-labelledby="name">
<title id="name">MCP clients sign in at the server and call it. The server runs on Azure Functions, signs people in \
with Microsoft Entra ID, calls other APIs on their behalf, and keeps its state in Table Storage and Key Vault.</title>
<style>text {{ font: 13px {FONT}; }} .title {{ font-size: 15px; font-weight: 600; fill: {colors["text"]}; }}
.small {{ fill: {colors["soft"]}; }}</style>
<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">\
<path d="M0 0 8 4 0 8z" fill="{colors["accent"]}"/></marker></defs>
<rect width="980" height="490" fill="{colors["back"]}"/>
{body}
</svg>
"""


def record() -> list[tuple[float, str]]:
    """Runs the command as somebody does who never signed in; its lines, with the seconds at which they are shown."""
    shutil.rmtree(REPOSITORY / ".local" / "check-client", ignore_errors=True)
    lines: list[tuple[float, str]] = []
    shown_at, last = MAX_PAUSE_SECONDS, time.monotonic()
    environment = {name: value for name, value in os.environ.items() if name not in OF_THIS_MACHINE}
    with subprocess.Popen(COMMAND, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, text=True) as child:
        for line in child.stdout or ():
            now = time.monotonic()
            shown_at += min(now - last, MAX_PAUSE_SECONDS)
            last = now
            lines.append((shown_at, line.rstrip()))
    if child.returncode:
        raise SystemExit(f"{' '.join(COMMAND)} ended with {child.returncode}; there is nothing to show.")
    return lines


def terminal(lines: list[tuple[float, str]]) -> str:
    """A terminal in which the lines appear one after the other; without animations all of them are there."""
    shown = [(0.0, f"$ {' '.join(COMMAND)}"), *lines]
    height = LINE_HEIGHT * len(shown) + 58
    width = round(COLUMNS * CHARACTER) + 40
    rows = "".join(
        f'<text x="20" y="{52 + LINE_HEIGHT * number}" style="animation-delay: {seconds:.2f}s">{_colored(text)}'
        "</text>\n"
        for number, (seconds, text) in enumerate(shown)
        if text
    )
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-labelledby="name">
<title id="name">A terminal: make run CHECK=1 starts everything, and a real MCP client signs in and calls the \
tools.</title>
<style>text {{ font: 13px {MONOSPACE}; fill: #e6edf3; white-space: pre; animation: appear .01s both; }}
.ok {{ fill: #3fb950; }} .soft {{ fill: #9198a1; }} .strong {{ font-weight: 700; }}
@keyframes appear {{ from {{ opacity: 0; }} }}
@media (prefers-reduced-motion: reduce) {{ text {{ animation: none; }} }}</style>
<rect width="{width}" height="{height}" rx="10" fill="#0d1117"/>
<circle cx="22" cy="18" r="6" fill="#ff5f57"/><circle cx="42" cy="18" r="6" fill="#febc2e"/>\
<circle cx="62" cy="18" r="6" fill="#28c840"/>
{rows}</svg>
"""


def _colored(line: str) -> str:
    line = line if len(line) <= COLUMNS else f"{line[: COLUMNS - 1]}{ELLIPSIS}"
    if line.startswith("  ok  "):
        return f'<tspan class="ok">  ok  </tspan>{escape(line[6:])}'
    kind = "soft" if line.startswith("        ") else "" if line.startswith(" ") else "strong"
    return f'<tspan class="{kind}">{escape(line)}</tspan>' if kind else escape(line)


def main(wanted: list[str]) -> None:
    """Write the named pictures."""
    if "architecture" in wanted:
        (PICTURES / "architecture.svg").write_text(architecture(LIGHT), "utf-8")
        (PICTURES / "architecture-dark.svg").write_text(architecture(DARK), "utf-8")
    if "terminal" in wanted:
        (PICTURES / "run.svg").write_text(terminal(record()), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
