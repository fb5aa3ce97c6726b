"""Runs the conformance suite against the real app with the suite's fixtures, behind three workers in turn.

    python -m tests.engine.conformance --node NODE --results FOLDER

The suite cannot sign in, so a client does that before and the proxy adds its token. `local/suites.py` calls this.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2

from local.loopback.tls import ensure_tls
from tests.support.ports import free_ports

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tests.support.fleet import Fleet, RoundRobin

HERE = Path(__file__).parent
SUITE = HERE / "node_modules" / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"
EXPECTED = HERE / "expected-failures.yml"

REVISIONS = {"2025-06-18": "--spec-version", "2025-11-25": "--requirements", "2026-07-28": "--requirements"}
"""Each with the option that chooses its scenarios: the suite has no list of what the first one requires."""

UNSCORED = ("json-schema-2020-12", "http-custom-header-server-validation", "http-header-validation")
"""Scenarios that the suite runs with a revision, without a failure if they fail."""

TASKS = (
    "lifecycle",
    "capability-negotiation",
    "wire-fields",
    "request-state-removal",
    "mrtr-input",
    "request-headers",
    "dispatch-and-envelope",
    "required-task-error",
)
"""Scenarios of the tasks extension, which the suite does not run by a revision."""

MAX_SECONDS = 600.0


class Run:
    """One run of the suite with a Node against a fleet."""

    def __init__(self, fleet: Fleet, proxy: RoundRobin, *, node: str, results: Path) -> None:
        self._fleet = fleet
        self._proxy = proxy
        self._node = node
        self._results = results

    async def everything(self) -> list[str]:
        """The parts that failed."""
        failed = [] if await self._authorization() else ["authorization"]
        self._proxy.token = await self._sign_in()
        for revision, option in REVISIONS.items():
            options = (option, revision, "--expected-failures", str(EXPECTED))
            if not await self._server(f"revision {revision}", *options, shown="=== SUMMARY"):
                failed.append(f"server {revision}")
        scenarios = [*UNSCORED, *(f"tasks-{name}" for name in TASKS)]
        return failed + [
            each for each in scenarios if not await self._server(each, "--scenario", each, shown="Test Re")
        ]

    async def _server(self, what: str, *options: str, shown: str) -> bool:
        """Runs the suite against the server; shows what it says from that line on."""
        say(f"== server, {what}")
        process = await self._start("server", f"{self._fleet.url}/mcp", f"server-{what}".replace(" ", "-"), *options)
        summary = False
        async for line in lines_of(process):
            summary = summary or line.startswith(shown)
            if summary:
                say(line)
        return await process.wait() == 0

    async def _authorization(self) -> bool:
        """The suite prints the address that a person would open, and waits for the browser to come back."""
        say("== authorization")
        from local.check.browser import Browser
        from tests.support.oauth import OAuthClient
        from tests.support.standins import PERSON

        (port,) = free_ports(1)
        async with httpx2.AsyncClient(base_url=self._fleet.url, timeout=30) as http:
            client = OAuthClient(http=http, redirect_uri=f"http://127.0.0.1:{port}/callback")
            await client.register()
        options = ("--client-id", client.client_id, "--port", str(port), "--resource", f"{self._fleet.url}/mcp")
        process = await self._start("authorization", f"{self._fleet.url}/", "authorization", *options)
        async for line in lines_of(process):
            say(line)
            if re.match(r"http://\S+[?&]code_challenge=", line):
                async with Browser() as browser:
                    await browser.walk(await browser.open(line), PERSON)
        return await process.wait() == 0

    async def _sign_in(self) -> str:
        from tests.support.oauth import OAuthClient

        async with httpx2.AsyncClient(base_url=self._fleet.url, timeout=30) as http:
            return (await OAuthClient(http=http).sign_in())["access_token"]

    async def _start(self, command: str, url: str, results: str, *options: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *(self._node, str(SUITE), command, "--url", url, "--output-dir", str(self._results / results), *options),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )


async def lines_of(process: asyncio.subprocess.Process) -> AsyncGenerator[str]:
    """What the process writes, line by line."""
    assert process.stdout is not None
    while line := await process.stdout.readline():
        yield line.decode("utf-8", "replace").rstrip()


def say(line: str) -> None:
    """A line, at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def main(node: str, results: Path) -> int:
    """The exit code: 0 when all that is expected to pass does, and nothing else."""
    with tempfile.TemporaryDirectory(prefix="conformance-") as name:
        folder = Path(name)
        # aiohttp reads the certificates when it is imported, hence the imports right here.
        bundle = str(ensure_tls(folder / "tls").bundle)
        os.environ["SSL_CERT_FILE"] = os.environ["REQUESTS_CA_BUNDLE"] = bundle
        fleets = import_module("tests.support.fleet")
        with fleets.Fleet(folder, certificates=folder / "tls", app=HERE / "app") as fleet:
            async with fleet.serving() as proxy, asyncio.timeout(MAX_SECONDS):
                failed = await Run(fleet, proxy, node=node, results=results).everything()
    say(f"FAILED: {', '.join(failed)}. Details: {results}" if failed else "Everything that is expected to pass does.")
    return 1 if failed else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--node", required=True)
    parser.add_argument("--results", type=Path, required=True)
    options = parser.parse_args()
    sys.exit(asyncio.run(main(options.node, options.results)))
