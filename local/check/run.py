"""The check from beginning to end: sign in, or find that the last sign-in still holds, then call the tools."""

from __future__ import annotations

import asyncio
import logging
import shutil
import ssl
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast
from urllib.parse import urljoin

import httpx2
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport

from local.check.browser import Browser
from local.check.report import CheckFailedError
from local.check.shortcuts import Shortcuts
from local.check.sign_in import ALLOW, Progress, SignIn
from local.check.storage import file_store, is_empty
from local.check.tools import call_tools
from local.host.log import DROPPED

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from pathlib import Path

    from local.check.report import Reporter

CLIENT_NAME = "Check of the local run"
TIMEOUT = 120.0


async def check_server(
    mcp_url: str, *, person: str, kept: Path, log: Path, report: Reporter, shortcuts: Mapping[str, str] = {}
) -> None:
    """Sign in to the server at `mcp_url` and call its tools; CheckFailedError names the step that failed.

    `person` is the name of the account on the sign-in page.
    The client's registration and tokens are kept in the folder `kept` for the next time; what the client libraries log
    goes to `log`. `shortcuts` names where requests for certain origins go instead.
    """
    # An earlier version kept the sign-in in a file of this name; its tokens would stay on disk for ever.
    kept.with_suffix(".json").unlink(missing_ok=True)
    with _logged(log):
        if not is_empty(kept):
            try:
                return await _attempt(mcp_url, person, kept=kept, report=report, shortcuts=shortcuts)
            except _SignInError as fault:
                report.progress(f"the kept sign-in is no longer good ({fault.step}: {fault.reason}); signing in again")
                shutil.rmtree(kept)
        return await _attempt(mcp_url, person, kept=kept, report=report, shortcuts=shortcuts)


class _SignInError(CheckFailedError):
    """The client could not even connect, which a new sign-in may fix."""


async def check_token(mcp_url: str, *, account: str, entra: str, ca: Path, log: Path, report: Reporter) -> None:
    """Call the tools with a token that the Entra stand-in at `entra` issues for the account of that key.

    CheckFailedError names what failed.

    `ca` is the authority of the stand-in's certificate. This is for a server that has no sign-in of its own.
    """
    progress = Progress(report=report.done)
    with _logged(log):
        try:
            trust = ssl.create_default_context(cafile=str(ca))
            async with httpx2.AsyncClient(verify=trust, trust_env=False) as http:
                answer = await http.post(f"{entra}/_local/tokens", json={"account": account})
            token = answer.raise_for_status().json()["access_token"]
            report.done("token", f"Entra ID issued one for the account {account}")
            transport = StreamableHttpTransport(mcp_url, auth=token, httpx_client_factory=progress.http_client)
            async with asyncio.timeout(TIMEOUT), Client(transport) as client:
                await call_tools(client, report=report)
        except CheckFailedError:
            raise
        except Exception as fault:
            await _raise_if_unavailable(progress, mcp_url, fault)
            raise CheckFailedError("token", _innermost(fault)) from fault


async def why_not_ready(mcp_url: str, *, shortcuts: Mapping[str, str] = {}) -> str:
    """What the server's readiness probe says, for a message; empty if it is ready."""
    url = urljoin(mcp_url, "/readyz")
    try:
        async with httpx2.AsyncClient(transport=Shortcuts(shortcuts), trust_env=False, timeout=10.0) as http:
            answer = await http.get(url)
    except httpx2.HTTPError as fault:
        return f"{url} does not answer: {fault}"
    return "" if answer.is_success else f"{url} answers {answer.status_code}: {answer.text[:1000]}"


async def check_log(host_url: str) -> None:
    """CheckFailedError when the local host has dropped lines of the log."""
    async with httpx2.AsyncClient(trust_env=False, timeout=10.0) as http:
        status = (await http.get(f"{host_url}/admin/host/status")).json()
    if dropped := status.get("droppedLogLines"):
        where = f"functions.log marks them with{DROPPED}"
        raise CheckFailedError("log", f"{dropped} line(s) came after their invocation had ended; {where}")


async def _attempt(mcp_url: str, person: str, *, kept: Path, report: Reporter, shortcuts: Mapping[str, str]) -> None:
    began = time.monotonic()
    progress = Progress(report=report.done, shortcuts=shortcuts)
    labels = (ALLOW, person)
    auth = SignIn(mcp_url, progress=progress, storage=file_store(kept), labels=labels, name=CLIENT_NAME)
    transport = StreamableHttpTransport(mcp_url, auth=auth, httpx_client_factory=progress.http_client)
    client = Client(transport)
    connected = False

    async def consent(address: str) -> None:
        async with Browser(shortcuts=shortcuts) as browser:
            await browser.walk(await browser.open(address), labels)

    try:
        async with asyncio.timeout(TIMEOUT), client:
            connected = True
            report.done("signed in", _how(progress), seconds=time.monotonic() - began)
            await call_tools(client, report=report, consent=consent)
    except CheckFailedError:
        raise
    except Exception as fault:
        await _raise_if_unavailable(progress, mcp_url, fault)
        reason = _innermost(fault)
        if connected:
            raise CheckFailedError("tools", reason) from fault
        raise _SignInError(progress.stage, reason) from fault


async def _raise_if_unavailable(progress: Progress, mcp_url: str, fault: Exception) -> None:
    """A server that answered 503 says itself what it waits for, which no client's error contains."""
    if progress.unavailable:
        reason = await why_not_ready(mcp_url, shortcuts=progress.shortcuts)
        raise CheckFailedError("readiness", reason or "the server answered 503, and is ready by now") from fault


def _how(progress: Progress) -> str:
    if progress.browser_opened:
        return "and connected"
    return "again without a browser" + (" (token refreshed)" if progress.refreshed else "")


def _innermost(fault: BaseException) -> str:
    """What went wrong in the end, without the wrappings of task groups and transports."""
    if isinstance(fault, BaseExceptionGroup):
        return _innermost(cast("BaseExceptionGroup[BaseException]", fault).exceptions[0])
    if fault.__cause__ is not None:
        return _innermost(fault.__cause__)
    return str(fault) or type(fault).__name__


@contextmanager
def _logged(log: Path) -> Generator[None]:
    """Send the libraries' warnings to a file: a traceback of theirs would bury the account of what happened."""
    log.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(log, mode="w", encoding="utf-8")
    handler.setLevel(logging.WARNING)
    ours, fastmcp = logging.getLogger(), logging.getLogger("fastmcp")
    before = fastmcp.level
    ours.addHandler(handler)
    fastmcp.setLevel(logging.WARNING)
    try:
        yield
    finally:
        fastmcp.setLevel(before)
        ours.removeHandler(handler)
        handler.close()
