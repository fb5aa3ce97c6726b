"""The running server as anybody sees it: whether it answers, what it names itself, and what its clock says."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING

from ops.documents import words
from ops.http import date_of
from ops.smoke.discovery import COMPONENTS, METADATA
from ops.smoke.target import StepFailedError, Target, brief

if TYPE_CHECKING:
    from ops.command import Context
    from ops.doctor.facts import Facts

LEEWAY = timedelta(seconds=60)
"""How far clocks may differ before tokens are refused as not valid yet."""


def examine(context: Context, facts: Facts) -> None:
    """Health, readiness, address and clock."""
    try:
        with closing(Target(base_url=facts.base_url)) as target:
            _health(context, target)
            _address(context, target)
    except StepFailedError as failed:
        context.report.finding("server", failed.reason, remedy=failed.remedy)


def _health(context: Context, target: Target) -> None:
    asked = context.now()
    response = target.get("/healthz")
    if response.status_code != HTTPStatus.OK:
        context.report.finding(
            "server",
            f"/healthz answers {response.status_code} {brief(response)}",
            remedy="azd deploy; then look at the log: Application Insights, Live Metrics, or the query `traces | where "
            "severityLevel >= 2`",
        )
        return
    context.report.ok("server", f"{target.base_url} answers")
    clock = date_of(response)
    if clock is not None:
        # The header has whole seconds, and the answer was some time on its way.
        compare_clock(context, "the server's", clock - asked, slack=timedelta(seconds=2) + response.elapsed)
    ready = target.get("/readyz")
    if ready.status_code == HTTPStatus.OK:
        context.report.ok("readiness", "all that it depends on answers")
        return
    named = [name for name in COMPONENTS if name in ready.text]
    for name in named or ["server"]:
        context.report.finding("readiness", f"{name} does not", remedy=COMPONENTS[name])


def compare_clock(context: Context, whose: str, difference: timedelta, *, slack: timedelta) -> None:
    """Reports a clock that differs from this machine's by more than the server forgives."""
    if abs(difference) > LEEWAY + slack:
        seconds = difference.total_seconds()
        context.report.finding(
            "clock",
            f"{whose} clock is {abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'} this machine's",
            remedy="set the clock of this machine by the network: timedatectl set-ntp true, or w32tm /resync; "
            "Azure's own clocks are right",
        )
    else:
        context.report.ok("clock", f"{whose} clock agrees with this machine's")


def _address(context: Context, target: Target) -> None:
    resource = target.document(METADATA)
    if resource.get("resource") != target.mcp_url:
        context.report.finding(
            "address",
            f"the server calls itself {resource.get('resource')}, and not {target.mcp_url}",
            remedy=f"set MCP_BASE_URL to {target.base_url}, or give clients the address that the server names",
        )
    else:
        context.report.ok("address", f"{target.mcp_url}, scopes {' '.join(words(resource, 'scopes_supported'))}")
