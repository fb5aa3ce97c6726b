"""Hostile requests get a proper answer, cost little, and let nobody in. CONTRIBUTING.md shows how to fuzz at length."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.engine.fuzz.requests import ENDPOINTS, Request
from tests.engine.fuzz.rules import check
from tests.engine.fuzz.server import running_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.engine.fuzz.server import Server
    from tests.support.standins import StandIns

EXAMPLES = 15
"""For each endpoint: about a second. They are the same ones each time, so that a failure is due to a change."""

TASKS = 5
FILES = 20
MEGABYTES = 60


@pytest.fixture(scope="module")
def server(azurite: str, standins: StandIns) -> Iterator[Server]:
    with running_server(azurite=azurite, standins=standins) as server:
        yield server


@pytest.mark.parametrize("endpoint", sorted(ENDPOINTS))
def test_hostile_requests_get_proper_answers(server: Server, endpoint: str) -> None:
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
    )
    @given(st.lists(ENDPOINTS[endpoint], min_size=1, max_size=3))
    def proper(requests: list[Request]) -> None:
        check(server, requests)

    server.renew()
    before = server.usage()
    proper()
    after = server.usage()
    assert after.tasks - before.tasks <= TASKS
    assert after.files - before.files <= FILES
    assert after.memory - before.memory < MEGABYTES * 1024 * 1024
