"""The whole flow with a person: the system's browser opens, the client waits on loopback, and calls the tools."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, cast, override

from fastmcp import Client
from fastmcp.client.auth.oauth import OAuth
from fastmcp.client.transports import StreamableHttpTransport

from local.check.report import CheckFailedError
from local.check.storage import file_store
from local.check.tools import call_tools
from ops.aadsts import AADSTS, codes_in
from ops.attempt import FoundError

if TYPE_CHECKING:
    from key_value.aio.protocols import AsyncKeyValue

    from ops.report import Report


class _Listener:
    """Reports the steps of the calls of the tools."""

    def __init__(self, report: Report) -> None:
        self._report = report

    def done(self, what: str, detail: str = "", *, seconds: float | None = None) -> None:
        self._report.ok(what, detail if seconds is None else f"{detail}  ({seconds:.2f} s)")

    def progress(self, text: str) -> None:
        self._report.step(text)


class _BrowserSignIn(OAuth):
    """FastMCP's own, which also prints the address: not every machine has a browser that a program can open."""

    def __init__(self, mcp_url: str, *, storage: AsyncKeyValue, report: Report, seconds: float) -> None:
        self._report = report
        super().__init__(mcp_url, client_name="Smoke test", callback_timeout=seconds, token_storage=storage)

    @override
    async def redirect_handler(self, authorization_url: str) -> None:
        self._report.step("opening the browser; if none appears, open this address on this machine:")
        self._report.step(authorization_url)
        await super().redirect_handler(authorization_url)


def sign_in(mcp_url: str, *, report: Report, seconds: float) -> None:
    """Signs a person in and calls the tools.

    Raises:
        FoundError: the sign-in or a tool failed, or nobody signed in in time.
    """
    # FastMCP says at INFO what is said here already.
    logging.getLogger("fastmcp").setLevel(logging.WARNING)
    with TemporaryDirectory(prefix="entra-mcp-smoke-") as folder:
        asyncio.run(_sign_in(mcp_url, storage=file_store(Path(folder)), report=report, seconds=seconds))


async def _sign_in(mcp_url: str, *, storage: AsyncKeyValue, report: Report, seconds: float) -> None:
    auth = _BrowserSignIn(mcp_url, storage=storage, report=report, seconds=seconds)
    try:
        transport = StreamableHttpTransport(mcp_url, auth=auth)
        async with asyncio.timeout(seconds + 60), Client(transport) as client:
            report.ok("sign-in", f"{len(await client.list_tools())} tools")
            await call_tools(client, report=_Listener(report))
    except Exception as error:  # the edge: whatever the client libraries raise is how the step ended
        said = _innermost(error)
        known = [AADSTS[code].remedy for code in codes_in(said) if code in AADSTS]
        remedy = "\n".join(known) or "The browser's page says what went wrong; the log of the server says why."
        raise FoundError(said, remedy=remedy) from error


def _innermost(fault: BaseException) -> str:
    error = fault
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    if isinstance(error, TimeoutError):
        return "nobody signed in in time"
    if isinstance(error, CheckFailedError):
        return str(error)
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
