"""The function app: whether it runs, on which Python, with both of its functions, and when it purged last."""

from __future__ import annotations

import re
import shlex
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, cast

from ops.attempt import Note, attempt, expect
from ops.doctor.facts import SITE_VERSION, app_options, resources_of_type, site_path
from ops.documents import entries, part

if TYPE_CHECKING:
    from pathlib import Path

    from ops.command import Context
    from ops.doctor.facts import Facts

FUNCTIONS = frozenset({"mcp", "purge"})
LATEST_PURGE = timedelta(hours=3)
"""The timer fires every hour."""

QUERY = "AppRequests | where Name == 'purge' | top 1 by TimeGenerated desc | project TimeGenerated, Success"
TROUBLE = "exceptions | where operation_Name == 'purge' | top 5 by timestamp desc | project timestamp, outerMessage"


def examine(context: Context, facts: Facts) -> None:
    """State, versions, functions."""
    properties = part(facts.site, "properties")
    app = app_options(context)
    if properties.get("state") != "Running":
        context.report.finding("app", f"is {properties.get('state')}", remedy=f"az functionapp start {app}")
    if properties.get("httpsOnly") is False:
        context.report.finding(
            "app", "answers plain http too", remedy=f"az functionapp update {app} --set httpsOnly=true"
        )
    attempt(context.report, "versions", lambda: _versions(context, facts))
    attempt(context.report, "functions", lambda: _functions(context))


def _versions(context: Context, facts: Facts) -> str:
    runtime = part(facts.site, "properties", "functionAppConfig", "runtime")
    name, version, wanted = str(runtime.get("name")), str(runtime.get("version")), wanted_python(context.root)
    expect(
        (name, version) == ("python", wanted),
        f"the app runs {name} {version}, and this repository is for python {wanted}",
        remedy="azd provision --no-state\nazd deploy",
    )
    pinned = pinned_runtime(context.root)
    return f"python {version}" + (f", azure-functions-runtime {pinned}" if pinned else "")


def _functions(context: Context) -> str:
    listed = context.services.arm.pages(f"{site_path(context)}/functions", **{"api-version": SITE_VERSION})
    found = {str(part(one, "properties").get("name") or one.get("name") or "").rsplit("/", 1)[-1] for one in listed}
    expect(
        found >= FUNCTIONS,
        f"not listed: {', '.join(sorted(FUNCTIONS - found))}. "
        "What was deployed does not load on this Python, or nothing was",
        remedy=f"azd deploy\naz functionapp restart {app_options(context)}\n"
        f"The build log has to name Python {wanted_python(context.root)}; update azd where it does not.",
    )
    return ", ".join(sorted(found))


def examine_purge(context: Context) -> str:
    """The last run of the timer, from the logs."""
    components = resources_of_type(context, "Microsoft.Insights/components")
    if not components:
        return Note("cannot be found: the resource group has no Application Insights")
    answer = context.services.logs.request(
        "POST", f"/v1{components[0]}/query", body={"query": QUERY, "timespan": "P2D"}
    ).document
    rows = [row for table in entries(answer, "tables") for row in cast("list[list[object]]", table.get("rows") or [])]
    if not rows:
        return Note("none in the logs of the last two days; a new app purges at the next full hour")
    at, success = datetime.fromisoformat(str(rows[0][0])).astimezone(UTC), str(rows[0][1]).lower() in {"true", "1"}
    when = f"{at:%Y-%m-%d %H:%M} UTC"
    remedy = f'az monitor app-insights query --apps {shlex.quote(components[0])} --analytics-query "{TROUBLE}"'
    expect(success, f"failed, {when}", remedy=remedy)
    expect(context.now() - at <= LATEST_PURGE, f"was {when}; it should be hourly", remedy=remedy)
    return when


def wanted_python(root: Path) -> str:
    """The Python that this repository is for."""
    file = root / ".python-version"
    return file.read_text("utf-8").strip() if file.is_file() else "3.13"


def pinned_runtime(root: Path) -> str:
    """The runtime that the locked requirements bring, which is also what runs the app in Azure."""
    file = root / "requirements.txt"
    text = file.read_text("utf-8") if file.is_file() else ""
    found = re.search(r"^azure-functions-runtime==(\S+)", text, re.MULTILINE)
    return found.group(1) if found else ""
