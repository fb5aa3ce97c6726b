"""One host for all tests that leave it as they found it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.engine.functions.harness import MCP_APP, RunningHost, running_host

if TYPE_CHECKING:
    from collections.abc import Generator


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Generator[RunningHost]:
    log = tmp_path_factory.mktemp("host") / "host.log"
    with running_host(MCP_APP, log=log, environment={"FIXTURE_TOOLS": "yes"}) as running:
        yield running
