"""How each client is set up, signs in, lists and calls: by its own commands, as its users would."""

from __future__ import annotations

import json
import re
import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, override

from local.config import REPOSITORY
from local.suites import ENVIRONMENTS
from tests.engine.compatibility import inspector_page
from tests.engine.compatibility.person import press
from tests.support.ports import free_ports

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.engine.compatibility.process import Home, Outcome

HERE = Path(__file__).parent
PROGRAMS = HERE / "programs"

NAME = "entra"

TYPING_SECONDS = 90
"""After which a terminal page has not taken what was typed, as happens while it starts slowly."""

MAX_ATTEMPTS = 3
"""How often a step is tried that a busy machine can spoil; the record has how often it was."""


def _python(environment: str) -> str:
    """The Python of a client that cannot be in the same environment as this server."""
    return str(REPOSITORY / ENVIRONMENTS / environment / "bin" / "python")


@dataclass(kw_only=True)
class Found:
    """What a client came to."""

    ok: bool
    message: str
    """What it says, when it is not `ok`."""
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Of `ok`: the `protocol`, the `tools`, and the results of calls, as programs/tasks.py has them."""
    redirect_uris: Sequence[str] = ()
    """Where the sign-ins that it began wanted to come back to; none when it needed none."""
    attempts: int = 1
    """How often it was tried."""


class Driver(ABC):
    """One client."""

    name: ClassVar[str]
    package: ClassVar[str]
    """The package that its version is of; of PyPI after `pypi:`, with the environment where it has one of its own."""
    variables: ClassVar[Mapping[str, str]] = {}
    calls: ClassVar[bool] = True
    """Whether it calls tools without an account of its maker."""
    has_tasks: ClassVar[bool] = False
    """Whether it knows background tasks."""
    signs_in_with: ClassVar[str] = ""
    """The words that begin a sign-in; empty when connecting does."""
    keeps: ClassVar[str] = ""
    """The file or folder of the home that holds the registration and the sign-in, where a user would know it."""

    @abstractmethod
    async def sign_in(self, home: Home, url: str, labels: Sequence[str]) -> Found:
        """From nothing to signed in, with the set-up."""

    @abstractmethod
    async def connect(self, home: Home, url: str, labels: Sequence[str], task: str = "list") -> Found:
        """Connects with what is kept, and does the `task` of programs/tasks.py."""


class _Program(Driver):
    """An SDK: connecting signs in."""

    keeps = "sign-in.json"

    @abstractmethod
    def command(self, url: str, home: Home, task: str) -> Sequence[str]: ...

    @override
    async def sign_in(self, home: Home, url: str, labels: Sequence[str]) -> Found:
        return await self.connect(home, url, labels)

    @override
    async def connect(self, home: Home, url: str, labels: Sequence[str], task: str = "list") -> Found:
        return self.read(await home.run(*self.command(url, home, task), labels=labels))

    def read(self, outcome: Outcome) -> Found:
        """What the program wrote in JSON."""
        answers = [json.loads(line) for line in outcome.lines if line.startswith('{"')]
        facts = answers[-1] if answers else {"error": " ".join(outcome.lines[-3:])}
        uris = [visit.redirect_uri for visit in outcome.visits]
        pages = [visit.page for visit in outcome.visits if visit.refused]
        if pages:
            return Found(ok=False, message=f"The browser shows: {pages[-1]}", redirect_uris=uris)
        return Found(ok="error" not in facts, message=facts.get("error", ""), facts=facts, redirect_uris=uris)


class FastMcp(_Program):
    """FastMCP's client."""

    name = "FastMCP"
    package = "pypi:fastmcp"
    keeps = "sign-in"
    program: ClassVar[tuple[str, str]] = sys.executable, "fastmcp_client.py"

    @override
    def command(self, url: str, home: Home, task: str) -> Sequence[str]:
        return self.program[0], str(PROGRAMS / self.program[1]), url, str(home.folder), task


class FastMcpTasks(FastMcp):
    """The same in the version that its package for background tasks needs."""

    name = "FastMCP with tasks"
    package = "pypi:fastmcp-tasks fastmcp-tasks"
    has_tasks = True
    program = _python("fastmcp-tasks"), "fastmcp_tasks_client.py"


class PythonSdk(_Program):
    """The SDK for Python, version 2."""

    name = "MCP SDK for Python 2"
    package = "pypi:mcp"
    python: ClassVar[str] = sys.executable

    @override
    def command(self, url: str, home: Home, task: str) -> Sequence[str]:
        return self.python, str(PROGRAMS / "python_client.py"), url, str(home.folder), task


class PythonSdk1(PythonSdk):
    """The SDK for Python, version 1."""

    name = "MCP SDK for Python 1"
    package = "pypi:mcp mcp-1"
    python = _python("mcp-1")


class TypeScriptSdk(_Program):
    """The SDK for TypeScript, version 2."""

    name = "MCP SDK for TypeScript 2"
    package = "@modelcontextprotocol/client"
    version: ClassVar[str] = "2"

    @override
    def command(self, url: str, home: Home, task: str) -> Sequence[str]:
        return "node", str(PROGRAMS / "typescript_client.mjs"), url, str(home.folder), task, self.version


class TypeScriptSdk1(TypeScriptSdk):
    """The SDK for TypeScript, version 1."""

    name = "MCP SDK for TypeScript 1"
    package = "@modelcontextprotocol/sdk"
    version = "1"


class McpRemote(_Program):
    """The bridge for clients that only start programs, with FastMCP's client at its other side."""

    name = "mcp-remote"
    package = "mcp-remote"

    @override
    def command(self, url: str, home: Home, task: str) -> Sequence[str]:
        return *FastMcp().command(url, home, task), "mcp-remote"

    @override
    def read(self, outcome: Outcome) -> Found:
        found = super().read(outcome)
        said = [re.sub(r"^(\[\d+\] ?)+", "", line) for line in outcome.lines]
        faults = [line for line in said if re.search(r"error|fail|denied", line, re.IGNORECASE)]
        return (
            found
            if found.ok or not faults
            else Found(ok=False, message=_own(faults), redirect_uris=found.redirect_uris)
        )


class InspectorCli(_Program):
    """MCP Inspector on the command line; each call is a run of its own."""

    name = "MCP Inspector, command line"
    package = "@modelcontextprotocol/inspector"
    variables: ClassVar[Mapping[str, str]] = {"MCP_AUTO_OPEN_ENABLED": "true", "MCP_INSPECTOR_SECRET_STORE": "file"}

    @override
    def command(self, url: str, home: Home, task: str) -> Sequence[str]:
        return "mcp-inspector", "--cli", "--server-url", url, "--transport", "http", "--format", "json", "-q"

    @override
    async def connect(self, home: Home, url: str, labels: Sequence[str], task: str = "list") -> Found:
        found = await self._run(home, url, labels, "--method", "tools/list")
        if not found.ok:
            return found
        facts: dict[str, Any] = {"protocol": "", "tools": [tool["name"] for tool in found.facts["tools"]]}
        if task == "all":
            facts["add"] = (await self._call(home, url, "add", "a=2000.25", "b=345.5")).facts
            facts["graph_me"] = (await self._call(home, url, "graph_me")).facts
            refused = await self._call(home, url, "admin_stats")
            facts["role"] = refused.facts if refused.ok else {"error": refused.message}
        return Found(ok=True, message="", facts=facts, redirect_uris=found.redirect_uris)

    async def _call(self, home: Home, url: str, tool: str, *arguments: str) -> Found:
        given = ("--tool-arg", *arguments) if arguments else ()
        return await self._run(home, url, (), "--method", "tools/call", "--tool-name", tool, *given)

    async def _run(self, home: Home, url: str, labels: Sequence[str], *options: str) -> Found:
        outcome = await home.run(*self.command(url, home, ""), *options, labels=labels)
        found = self.read(outcome)
        if not found.ok:
            error: Any = found.facts["error"]
            text = error if isinstance(error, str) else error["message"]
            return Found(ok=False, message=text, redirect_uris=found.redirect_uris)
        return Found(ok=True, message="", facts=found.facts["result"], redirect_uris=found.redirect_uris)


class InspectorPage(Driver):
    """MCP Inspector's page, used in Chromium."""

    name = "MCP Inspector, web page"
    package = "@modelcontextprotocol/inspector"
    variables: ClassVar[Mapping[str, str]] = {"MCP_AUTO_OPEN_ENABLED": "false", "MCP_INSPECTOR_SECRET_STORE": "file"}
    READY = re.compile(r"http://\S+MCP_INSPECTOR_API_TOKEN=\w+")

    @override
    async def sign_in(self, home: Home, url: str, labels: Sequence[str]) -> Found:
        return await self.connect(home, url, labels)

    @override
    async def connect(self, home: Home, url: str, labels: Sequence[str], task: str = "list") -> Found:
        own, sandbox = free_ports(2)
        ports = (f"CLIENT_PORT={own}", f"MCP_SANDBOX_PORT={sandbox}")
        command = ("env", *ports, "mcp-inspector", "--web", "--server-url", url, "--transport", "http")
        async with home.started(*command) as run, home.person.page() as page:
            address = await run.wrote(self.READY)
            refused, uris = await inspector_page.use(page, address, url, lambda: press(page, labels))
            if refused is not None:
                return Found(ok=False, message=refused, redirect_uris=uris)
            facts: dict[str, Any] = {"protocol": "", "tools": await inspector_page.tools(page)}
            if task == "all":
                total = await inspector_page.call(page, "add", r"\b2345\.75\b", a="2000.25", b="345.5")
                facts["add"] = {"structuredContent": {"result": float(total)}}
                username = await inspector_page.call(page, "graph_me", "user@local.example")
                facts["graph_me"] = {"structuredContent": {"username": username}}
            return Found(ok=True, message="", facts=facts, redirect_uris=uris)


class ClaudeCode(Driver):
    """Claude Code."""

    name = "Claude Code"
    package = "@anthropic-ai/claude-code"
    variables: ClassVar[Mapping[str, str]] = {
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
    }
    calls = False
    signs_in_with = f"claude mcp login {NAME}"

    @override
    async def sign_in(self, home: Home, url: str, labels: Sequence[str]) -> Found:
        if not (home.folder / ".claude.json").exists():
            await home.run("claude", "mcp", "add", "--transport", "http", NAME, url)
        # It insists on a terminal.
        outcome = await home.run("claude", "mcp", "login", NAME, labels=labels, typing=())
        uris = [visit.redirect_uri for visit in outcome.visits]
        ok = "Authenticated with" in outcome.output
        return Found(ok=ok, message=_after(outcome, "Couldn't complete"), redirect_uris=uris)

    @override
    async def connect(self, home: Home, url: str, labels: Sequence[str], task: str = "list") -> Found:
        # It connects to each server, and says so; the tools it lists to its model alone.
        outcome = await home.run("claude", "mcp", "list")
        ok = "✔ Connected" in outcome.output
        return Found(ok=ok, message=_after(outcome, f"{NAME}: "), facts={"protocol": "", "tools": None})


class Codex(_Program):
    """Codex; its own app server calls tools without the model."""

    name = "Codex"
    package = "@openai/codex"
    signs_in_with = f"codex mcp login {NAME}"

    @override
    def command(self, url: str, home: Home, task: str) -> Sequence[str]:
        return sys.executable, str(PROGRAMS / "codex_client.py"), task

    @override
    async def sign_in(self, home: Home, url: str, labels: Sequence[str]) -> Found:
        home.write(".codex/config.toml", f'[mcp_servers.{NAME}]\nurl = "{url}"\n')
        outcome = await home.run("codex", "mcp", "login", NAME, labels=labels)
        uris = [visit.redirect_uri for visit in outcome.visits]
        ok = "Successfully logged in" in outcome.output
        return Found(ok=ok, message=_after(outcome, "Error: "), redirect_uris=uris)


class GeminiCli(Driver):
    """Gemini CLI; signing in is a command of its terminal page."""

    name = "Gemini CLI"
    package = "@google/gemini-cli"
    # Without a display it never opens a browser; without the last one it starts itself a second time.
    variables: ClassVar[Mapping[str, str]] = {
        "GEMINI_API_KEY": "none",
        "DISPLAY": ":99",
        "GEMINI_CLI_NO_RELAUNCH": "true",
    }
    calls = False
    signs_in_with = f"/mcp auth {NAME}"

    @override
    async def sign_in(self, home: Home, url: str, labels: Sequence[str]) -> Found:
        settings = {
            "security": {"folderTrust": {"enabled": False}, "auth": {"selectedType": "gemini-api-key"}},
            "general": {"enableAutoUpdate": False},
            "privacy": {"usageStatisticsEnabled": False},
            "mcpServers": {NAME: {"httpUrl": url}},
        }
        home.write(".gemini/settings.json", json.dumps(settings))
        typing = [("Type your message", self.signs_in_with), (self.signs_in_with, "\r"), ("want to continue", "\r")]
        done = r"Successfully authenticated|Failed to authenticate[^\n]*\n"
        attempt = 0
        while True:
            attempt += 1
            outcome = await home.run("gemini", labels=labels, typing=typing, until=done, seconds=TYPING_SECONDS)
            if re.search(done, outcome.output) or attempt == MAX_ATTEMPTS:
                break
        uris = [visit.redirect_uri for visit in outcome.visits]
        ok = "Successfully authenticated" in outcome.output
        return Found(ok=ok, message=_after(outcome, "Failed to authenticate"), redirect_uris=uris, attempts=attempt)

    @override
    async def connect(self, home: Home, url: str, labels: Sequence[str], task: str = "list") -> Found:
        # It gives a server five seconds to connect, which a busy machine needs for the start of a program alone.
        attempt = 0
        while True:
            attempt += 1
            outcome = await home.run("gemini", "mcp", "list")
            ok = "- Connected" in outcome.output
            if ok or attempt == MAX_ATTEMPTS:
                break
        facts = {"protocol": "", "tools": None}
        return Found(ok=ok, message=_after(outcome, f"{NAME}: "), facts=facts, attempts=attempt)


class OpenCode(Driver):
    """opencode."""

    name = "opencode"
    package = "opencode-ai"
    variables: ClassVar[Mapping[str, str]] = {
        "OPENCODE_DISABLE_AUTOUPDATE": "true",
        "OPENCODE_DISABLE_MODELS_FETCH": "true",
    }
    calls = False
    signs_in_with = f"opencode mcp auth {NAME}"

    @override
    async def sign_in(self, home: Home, url: str, labels: Sequence[str]) -> Found:
        servers = {NAME: {"type": "remote", "url": url}}
        home.write(".config/opencode/opencode.json", json.dumps({"mcp": servers}))
        outcome = await home.run("opencode", "mcp", "auth", NAME, labels=labels, typing=())
        uris = [visit.redirect_uri for visit in outcome.visits]
        ok = "Authentication successful" in outcome.output
        return Found(ok=ok, message=_after(outcome, "■ "), redirect_uris=uris)

    @override
    async def connect(self, home: Home, url: str, labels: Sequence[str], task: str = "list") -> Found:
        outcome = await home.run("opencode", "mcp", "list")
        ok = f"✓ {NAME}" in outcome.output
        return Found(ok=ok, message=_after(outcome, f" {NAME} "), facts={"protocol": "", "tools": None})


APPLICATIONS = (ClaudeCode, Codex, GeminiCli, OpenCode, InspectorPage, InspectorCli, McpRemote)
LIBRARIES = (FastMcp, FastMcpTasks, PythonSdk, PythonSdk1, TypeScriptSdk, TypeScriptSdk1)
DRIVERS: tuple[type[Driver], ...] = (*APPLICATIONS, *LIBRARIES)


def _after(outcome: Outcome, mark: str) -> str:
    """The last line with `mark`, and from it on; without one, the last lines."""
    marked = [line[line.index(mark) :] for line in outcome.lines if mark in line]
    return marked[-1] if marked else _own(outcome.lines[-3:])


def _own(lines: Sequence[str]) -> str:
    return " ".join(lines)
