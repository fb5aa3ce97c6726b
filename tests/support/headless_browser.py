"""Stands in for the system's browser: `python -m tests.support.headless_browser <address>` signs in there."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from contextlib import suppress
from urllib.parse import parse_qs, urlsplit

from local.check.browser import Browser
from local.config import REPOSITORY
from tests.support.standins import PERSON

ATTEMPTS = 200


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """Runs a program whose system has this browser."""
    return subprocess.run(
        [sys.executable, *command],
        cwd=REPOSITORY,
        env={**os.environ, "BROWSER": f"{sys.executable} -m {walk.__module__} %s &"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


async def walk(address: str) -> None:
    """Clicks what a person would, once the client listens for the answer."""
    redirect = urlsplit(parse_qs(urlsplit(address).query)["redirect_uri"][0])
    for _ in range(ATTEMPTS):
        with suppress(OSError):
            _, writer = await asyncio.open_connection(redirect.hostname, redirect.port)
            writer.close()
            break
        await asyncio.sleep(0.05)
    async with Browser() as browser:
        await browser.walk(await browser.open(address), PERSON)


if __name__ == "__main__":
    asyncio.run(walk(sys.argv[1]))
