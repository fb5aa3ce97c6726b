"""How many requests a login, a refresh and a call send, and what a million of them costs at the prices of the table.

The tests of the flows hold the server to these counts; docs/deploy.md, docs/storage.md and docs/scale.md state them.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

PRICES = Path(__file__).with_name("prices.toml")
MILLION = 1_000_000
UNIT_OF_TABLES = 10_000
"""Requests that Azure bills as one."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one operation sends: requests to the server, and to Table Storage by their method; tokens of Entra ID."""

    requests: int
    storage: Mapping[str, int]
    tokens: int

    @property
    def stored(self) -> int:
        """All requests to Table Storage."""
        return sum(self.storage.values())


LOGIN = Cost(requests=6, storage={"GET": 7, "POST": 1, "PUT": 6}, tokens=1)
REFRESH = Cost(requests=1, storage={"GET": 2, "POST": 1, "PUT": 2}, tokens=1)
CALL = Cost(requests=1, storage={"GET": 1}, tokens=0)
"""A call that does not follow another of its sign-in on the same instance; those that do send nothing."""


def prices() -> dict[str, Any]:
    """The table: `date`, `price` in US dollars, and `free_a_month`."""
    return tomllib.loads(PRICES.read_text("utf-8"))


def tables(requests: float) -> float:
    """US dollars for so many requests to Table Storage."""
    return requests / UNIT_OF_TABLES * prices()["price"]["table_10000_requests"]


def million(cost: Cost) -> float:
    """US dollars for a million of them, executions and storage, without the time of the instances and what is free."""
    return cost.requests * prices()["price"]["execution_million"] + tables(cost.stored * MILLION)
