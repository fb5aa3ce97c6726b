"""The running server as anybody sees it: whether it answers, what it names itself, and what its clock says."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING

from ops.attempt import attempt, expect
from ops.documents import words
from ops.http import date_of
from ops.smoke.discovery import COMPONENTS, METADATA
from ops.smoke.target import Target, brief

if TYPE_CHECKING:
    from datetime import datetime

    import httpx2

    from ops.command import Context
    from ops.doctor.facts import Facts

LEEWAY = timedelta(seconds=60)
"""How far clocks may differ before tokens are refused as not valid yet."""


def examine(context: Context, facts: Facts) -> None:
    """Health, clock, readiness and address; nothing more where nobody answers."""
    with closing(Target(base_url=facts.base_url)) as target:
        attempt(context.report, "server", lambda: _examine(context, target))


def _examine(context: Context, target: Target) -> None:
    report, asked = context.report, context.now()
    health = target.get("/healthz")
    if attempt(report, "server", lambda: _health(target, health)):
        # The header has whole seconds, and the answer was some time on its way.
        slack = timedelta(seconds=2) + health.elapsed
        attempt(report, "clock", lambda: compare_clock("the server's", date_of(health), asked, slack=slack))
        attempt(report, "readiness", lambda: _readiness(context, target))
    attempt(report, "address", lambda: _address(target))


def _health(target: Target, response: httpx2.Response) -> str:
    expect(
        response.status_code == HTTPStatus.OK,
        f"/healthz answers {response.status_code} {brief(response)}",
        remedy="azd deploy; then look at the log: Application Insights, Live Metrics, or the query `traces | where "
        "severityLevel >= 2`",
    )
    return f"{target.base_url} answers"


def compare_clock(whose: str, clock: datetime | None, asked: datetime, *, slack: timedelta) -> str | None:
    """Compares a clock, where it is known, with what this machine's was at the request."""
    if clock is None:
        return None
    seconds = (clock - asked).total_seconds()
    expect(
        abs(clock - asked) <= LEEWAY + slack,
        f"{whose} clock is {abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'} this machine's",
        remedy="set the clock of this machine by the network: timedatectl set-ntp true, or w32tm /resync; "
        "Azure's own clocks are right",
    )
    return f"{whose} clock agrees with this machine's"


def _readiness(context: Context, target: Target) -> str | None:
    response = target.get("/readyz")
    if response.status_code == HTTPStatus.OK:
        return "all that it depends on answers"
    named = [name for name in COMPONENTS if name in response.text]
    for name in named or ["server"]:
        context.report.finding("readiness", f"{name} does not", remedy=COMPONENTS[name])
    return None


def _address(target: Target) -> str:
    resource = target.document(METADATA)
    expect(
        resource.get("resource") == target.mcp_url,
        f"the server calls itself {resource.get('resource')}, and not {target.mcp_url}",
        remedy=f"set MCP_BASE_URL to {target.base_url}, or give clients the address that the server names",
    )
    return f"{target.mcp_url}, scopes {' '.join(words(resource, 'scopes_supported'))}"
