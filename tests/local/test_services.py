"""The services of a run: when the host of the app counts as started."""

from __future__ import annotations

import os
import signal
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from local.app_settings import read_settings
from local.config import LocalConfig, Ports
from local.services import functions_host
from tests.support.serving import serving
from tests.support.standins import SETTINGS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from starlette.requests import Request


@asynccontextmanager
async def host_answering(status: int) -> AsyncGenerator[LocalConfig]:
    """Something on the port of the Functions host that gives every request the same answer."""

    async def answer(_request: Request) -> Response:
        return Response(status_code=status)

    async with serving(Starlette(routes=[Route("/{path:path}", answer)])) as port:
        yield LocalConfig(ports=Ports(functions=port))


@pytest.mark.parametrize(
    ("status", "watch", "ready"), [(200, False, True), (200, True, True), (500, False, False), (500, True, True)]
)
async def test_broken_app_counts_as_started_only_where_a_change_can_mend_it(
    status: int, watch: bool, ready: bool
) -> None:
    async with host_answering(status) as config:
        settings = replace(read_settings(SETTINGS), config=config)
        assert await functions_host(settings, kind="local", watch=watch).ready() is ready


@pytest.fixture
def core_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / ("func.exe" if os.name == "nt" else "func")
    program.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)


@pytest.mark.usefixtures("core_tools")
def test_core_tools_end_with_the_signal_that_they_heed_and_hear_nothing_of_azure() -> None:
    azure = {"CONTAINER_NAME": "x", "WEBSITE_INSTANCE_ID": "x", "KUBERNETES_SERVICE_HOST": "x"}
    settings = replace(read_settings(SETTINGS), environment={**os.environ, **azure})
    func, local = (functions_host(settings, kind=kind, watch=False) for kind in ("func", "local"))

    assert (func.stop_signal, local.stop_signal) == (signal.SIGINT, signal.SIGTERM)
    assert func.environment.keys() & azure.keys() == set()
    assert func.environment["PATH"]
