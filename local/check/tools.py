"""Calls each sample tool as the person who signed in, and looks at what comes back and when."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from local.check import samples
from local.check.calls import content
from local.check.report import CheckFailedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastmcp import Client

    from local.check.report import Reporter

STEPS = 5
SECONDS_EACH = 0.3


async def call_tools(client: Client[Any], *, report: Reporter, shortcuts: Mapping[str, str] | None = None) -> None:
    """Call those of the sample tools that are offered; CheckFailedError at the first fault.

    `shortcuts` tells where requests for certain origins go instead.
    """
    offered = {tool.name for tool in await client.list_tools()}
    checks = {
        "whoami": _whoami,
        "add": _add,
        "count_slowly": _count_slowly,
        "remember": samples.notes,
        "plan_trip": samples.plan_trip,
        "export_report": samples.export_report,
        "graph_me": _graph_me,
        "my_calendar": partial(samples.my_calendar, shortcuts=shortcuts or {}),
    }
    for name, check in checks.items():
        if name not in offered:
            report.progress(f"{name} is not among this server's tools; left out")
            continue
        began = time.monotonic()
        try:
            detail = await check(client, report)
        except CheckFailedError:
            raise
        except Exception as fault:
            raise CheckFailedError(f"tool {name}", str(fault)) from fault
        report.done(name, detail, seconds=time.monotonic() - began)


async def who_is_signed_in(client: Client[Any]) -> str | None:
    """Name and username of the caller as the server sees them, or None where it has no whoami."""
    if not any(tool.name == "whoami" for tool in await client.list_tools()):
        return None
    person = await content(client, "whoami")
    return f"{person.get('name')} <{person.get('username')}>"


async def _whoami(client: Client[Any], report: Reporter) -> str:
    person = await content(client, "whoami")
    if not person.get("username") or not person.get("object_id"):
        raise CheckFailedError("tool whoami", f"it names no username or no object id: {sorted(person)}")
    roles = ", ".join(cast("list[str]", person.get("roles") or [])) or "none"
    scopes = " ".join(cast("list[str]", person.get("scopes") or []))
    report.progress(f"object id {person['object_id']}, tenant {person.get('tenant_id')}")
    return f"{person.get('name')} <{person['username']}>, scopes: {scopes}, roles: {roles}"


async def _add(client: Client[Any], _report: Reporter) -> str:
    answer = await content(client, "add", a=2, b=3)
    total = answer.get("result")
    if total != 5:
        raise CheckFailedError("tool add", f"2 + 3 came back as {total}")
    return "2 + 3 = 5"


async def _count_slowly(client: Client[Any], report: Reporter) -> str:
    began = time.monotonic()
    arrivals: list[float] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        arrivals.append(time.monotonic() - began)
        report.progress(f"{message or f'{progress:g} of {total}'}  (after {arrivals[-1]:.2f} s)")

    arguments = {"to": STEPS, "seconds_each": SECONDS_EACH}
    await client.call_tool("count_slowly", arguments, progress_handler=on_progress)
    if len(arrivals) != STEPS:
        raise CheckFailedError("tool count_slowly", f"{len(arrivals)} of {STEPS} progress events arrived")
    if arrivals[-1] - arrivals[0] < SECONDS_EACH:
        raise CheckFailedError("tool count_slowly", "its progress arrived all at once: something holds the stream back")
    return f"{STEPS} progress events, one by one, as they happened"


async def _graph_me(client: Client[Any], _report: Reporter) -> str:
    profile = await content(client, "graph_me")
    if not profile.get("object_id"):
        raise CheckFailedError("tool graph_me", f"it names no object id: {sorted(profile)}")
    return f"Microsoft Graph knows {profile.get('name')}, {profile.get('job_title') or 'no job title'}"
