"""Every amount in the documents follows from the prices in `bench/prices.toml` and from counts that are tested."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING

import pytest

from bench.costs import LOGIN, REFRESH
from local.config import REPOSITORY
from tests.template.test_deploy_docs import DEPLOY, NETWORK, rules

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bench.costs import Cost

PRICES = tomllib.loads((REPOSITORY / "bench" / "prices.toml").read_text("utf-8"))
PRICE: dict[str, float] = PRICES["price"]
FREE: dict[str, float] = PRICES["free_a_month"]
MILLION = 1_000_000
HOURS = 730
"""Of a month, as Azure reckons."""

DOCUMENTS = ("README.md", *(f"docs/{name}.md" for name in ("deploy", "storage", "telemetry")))
ENDPOINTS = len(re.findall(r"^    service: ", NETWORK, re.MULTILINE))
GIGABYTES = (1.1, 2.1, 8.5, 25.7)
"""Of logs, for a million of what docs/telemetry.md counts; `tests/engine/insights` measures them."""


def tables(requests: float) -> float:
    """US dollars for so many requests to Table Storage, of which Azure bills 10,000 as one."""
    return requests / 10_000 * PRICE["table_10000_requests"]


def million(cost: Cost) -> float:
    """US dollars for a million of them, executions and storage, without the time of the instances and what is free."""
    return cost.requests * PRICE["execution_million"] + tables(cost.stored * MILLION)


def on_demand(gb_seconds: float) -> float:
    return max(0.0, gb_seconds - FREE["gb_seconds"]) * PRICE["on_demand_gb_second"]


EXECUTIONS = (MILLION - FREE["executions"]) / MILLION * PRICE["execution_million"]
ALWAYS_READY = 2 * HOURS * 3600 * PRICE["always_ready_gb_second"]
PURGES = HOURS * 2 * PRICE["always_ready_busy_gb_second"]
PRIVATE = ENDPOINTS * (HOURS * PRICE["private_endpoint_hour"] + PRICE["private_zone_month"])

COMPUTED = {
    *(
        f"{amount:.2f}"
        for amount in (EXECUTIONS, ALWAYS_READY, PURGES, PRIVATE, len(rules()) * PRICE["alert_rule_month"])
    ),
    *(f"{on_demand(seconds * MILLION):.2f}" for seconds in (2, 0.5, 2 / 20)),
    *(f"{tables(requests):.2f}" for requests in (MILLION, LOGIN.stored * MILLION, REFRESH.stored * MILLION)),
    f"{tables(MILLION / 10):.3f}",
    *(f"{million(cost):.2f}" for cost in (LOGIN, REFRESH)),
    *(f"{size * PRICE['logs_gb']:.2f}" for size in GIGABYTES),
    f"{PRICE['table_gb_month']:.2f}",  # for a million rows of 1 KB
}
IDLE = tables(10_000) + 0.01 * PRICE["table_gb_month"]
"""Storage of a month without anybody: some thousand requests of the host, some MB."""
BOUNDS = {"0": 0.0, "0.05": IDLE, "0.10": IDLE + on_demand(HOURS * 2)}
"""What a document states as a bound, and what is below it."""
ROUNDED = {"21": ALWAYS_READY + PURGES + IDLE, "50": on_demand(2 * MILLION) + EXECUTIONS + tables(MILLION)}
"""What a document states in whole dollars, and what it is."""


def amounts(text: str) -> Iterable[str]:
    return re.findall(r"\$(\d+(?:,\d{3})*(?:\.\d+)?)", text)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_amount_is_a_price_of_the_table_or_follows_from_it(document: str) -> None:
    listed = {f"{price:.2f}" for price in PRICE.values()} | {f"{price:.6f}".rstrip("0") for price in PRICE.values()}
    found = set(amounts((REPOSITORY / document).read_text("utf-8")))
    known = listed | COMPUTED | set(BOUNDS) | set(ROUNDED)
    assert found - known == set()


def test_bounds_and_round_numbers_are_right() -> None:
    assert all(cost <= float(stated) for stated, cost in BOUNDS.items())
    assert {stated: f"{cost:.0f}" for stated, cost in ROUNDED.items()} == {stated: stated for stated in ROUNDED}


def test_documents_state_every_price() -> None:
    found = {amount for document in DOCUMENTS for amount in amounts((REPOSITORY / document).read_text("utf-8"))}
    assert {
        name for name, price in PRICE.items() if price not in {float(each.replace(",", "")) for each in found}
    } == set()


def test_prices_are_for_as_many_things_as_are_made() -> None:
    assert f"alerts, {len(rules())} rules x $0.50 = ${len(rules()) * PRICE['alert_rule_month']:.2f}" in DEPLOY
    assert f"{ENDPOINTS} endpoints x {HOURS} h x $0.01 + {ENDPOINTS} zones x $0.50 = ${PRIVATE:.2f}" in DEPLOY


@pytest.mark.parametrize(
    ("formula", "cost"),
    [
        ("(1,000,000 - 250,000) x $0.40 / 1,000,000", EXECUTIONS),
        ("(1,000,000 x 1 s x 2 GB - 100,000) x $0.000026", on_demand(2 * MILLION)),
        ("(1,000,000 x 1 s x 0.5 GB - 100,000) x $0.000026", on_demand(0.5 * MILLION)),
        ("(1,000,000 x 1 s x 2 GB / 20 - 100,000) x $0.000026", on_demand(2 * MILLION / 20)),
        ("1,000,000 / 10,000 x $0.00036", tables(MILLION)),
        ("always-ready: 2 GB x 2,628,000 s x $0.000004 |", ALWAYS_READY),
        ("1,460 x $0.000016 =", PURGES),
    ],
)
def test_arithmetic_of_the_costs_is_right(formula: str, cost: float) -> None:
    assert re.search(rf"{re.escape(formula)}[ |]*\${cost:.2f}\b", DEPLOY)


def test_counts_of_an_operation_are_those_that_are_tested() -> None:
    assert f"A login is {LOGIN.requests} requests to the server and {LOGIN.stored} to storage." in DEPLOY
    assert f"A refresh is {REFRESH.requests} and {REFRESH.stored}." in DEPLOY
    logins, refreshes = million(LOGIN), million(REFRESH)
    assert f"a million logins cost ${logins:.2f}, and a million refreshes ${refreshes:.2f}" in DEPLOY
