"""The queries of alerts, workbook and documentation are right, and find what they are for in a recording."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from tests.engine.insights.queries import Account, alerts, documentation, faults, workbook

if TYPE_CHECKING:
    from tests.support.application_insights import Recording

pytestmark = pytest.mark.asyncio(loop_scope="package")

QUERIES = alerts() | workbook() | documentation()

NOT_RUN = "percentilew"
"""What the engine here (duckdb-kql) does not know; such a query is checked by Microsoft's language service alone."""

RUN = {name: query for name, query in QUERIES.items() if NOT_RUN not in query}


async def test_all_queries_are_found() -> None:
    assert len(alerts()) >= 5
    assert len(workbook()) >= 6
    assert len(documentation()) >= 2


async def test_language_service_finds_nothing_wrong() -> None:
    assert {name: found for name, found in faults(QUERIES).items() if found} == {}


async def test_language_service_finds_a_wrong_column() -> None:
    assert faults({"wrong": "requests | where status >= 500"})["wrong"]


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def account(recorded: Recording) -> Account:
    return Account(recorded)


@pytest.mark.parametrize("name", RUN)
async def test_query_runs(account: Account, name: str) -> None:
    assert isinstance(account.ask(RUN[name]), list)


@pytest.mark.parametrize(
    ("alert", "rows"),
    [
        ("server-errors", 0),  # a large body and a header that cannot be forwarded are a stranger's doing
        ("unavailable", 1),  # the client secret was refused once
        ("registration-flood", 1),
        ("purge-failed", 0),
        ("tasks-failed", 0),
    ],
)
async def test_alert_counts_what_it_is_for(account: Account, alert: str, rows: int) -> None:
    assert len(account.ask(QUERIES[f"alert {alert}"])) == rows


async def test_request_that_the_host_could_not_forward_is_a_failure_of_the_host_alone(account: Account) -> None:
    assert len(account.ask("requests | where toint(resultCode) >= 500 and toint(resultCode) != 503")) == 1


async def test_refusals_of_entra_are_counted_and_shown(account: Account) -> None:
    assert account.ask(QUERIES["alert entra-errors"])
    codes = {row["code"] for row in account.ask(QUERIES["workbook entra"])}
    assert codes == {"AADSTS7000222"}


async def test_workbook_shows_starts_purges_sign_ins_and_refusals(account: Account) -> None:
    def only(name: str) -> dict[str, Any]:
        (row,) = account.ask(QUERIES[f"workbook {name}"])
        return row

    assert (only("starts")["started"], only("starts")["failed"]) == (1, 0)
    assert only("purges")["message"].startswith("Purge: 0 rows deleted")
    assert {"sign-ins": 1, "registrations": 1}.items() <= only("sign-ins").items()
    assert ("/token", "413") in {(row["path"], row["resultCode"]) for row in account.ask(QUERIES["workbook refusals"])}


async def test_query_of_the_audit_page_finds_the_lines_of_a_person(account: Account) -> None:
    found = account.ask(QUERIES["audit.md 1"].replace("ago(7d)", "datetime(2020-01-01)"))

    assert {str(row["event"]).strip('"') for row in found} >= {"sign_in", "refresh", "replay", "revocation"}
