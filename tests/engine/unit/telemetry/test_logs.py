"""Logging: FastMCP's records reach the root logger, and request lines of the libraries do not."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from entra_mcp.telemetry.logs import QUIET_LOGGERS, configure_logging

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def restored_loggers() -> Iterator[None]:
    fastmcp = logging.getLogger("fastmcp")
    before = (fastmcp.handlers[:], fastmcp.propagate, [logging.getLogger(name).level for name in QUIET_LOGGERS])
    yield
    fastmcp.handlers[:], fastmcp.propagate = before[0], before[1]
    for name, level in zip(QUIET_LOGGERS, before[2], strict=True):
        logging.getLogger(name).setLevel(level)


def test_records_of_fastmcp_reach_the_root_logger(caplog: pytest.LogCaptureFixture) -> None:
    configure_logging()
    logging.getLogger("fastmcp.server").warning("something happened")
    assert "something happened" in caplog.text


@pytest.mark.parametrize("name", ["azure.core.pipeline.policies.http_logging_policy", "httpx2", "azure.identity.aio"])
def test_request_lines_of_libraries_are_quiet(name: str, caplog: pytest.LogCaptureFixture) -> None:
    configure_logging()
    with caplog.at_level(logging.INFO):
        logging.getLogger(name).info("GET https://vault/secrets/x")
    assert "vault" not in caplog.text
