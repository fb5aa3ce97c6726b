"""The supervisor's readiness check: settled is what answers, and a watched app that only a change can help."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from local.app_settings import AppSettings
from local.config import LocalConfig, Ports
from local.services import functions_host
from tests.engine.functions.harness import MCP_APP, running_host
from tests.support.ports import free_ports

if TYPE_CHECKING:
    from pathlib import Path

    from local.processes.supervisor import Service


def service(port: int, folder: Path) -> Service:
    config = LocalConfig(ports=Ports(functions=port), home=folder)
    settings = AppSettings(file=folder / "local.settings.json", values={}, config=config)
    return functions_host(settings, kind="local", watch=True)


async def test_running_app_is_ready(tmp_path: Path) -> None:
    with running_host(MCP_APP, log=tmp_path / "log") as host:
        assert await service(host.port, tmp_path).ready()


async def test_watched_app_that_cannot_be_indexed_is_settled_and_its_log_says_why(tmp_path: Path) -> None:
    (tmp_path / "host.json").write_text('{"version": "2.0"}')
    (tmp_path / "function_app.py").write_text("raise ValueError('bad app')\n")

    with running_host(tmp_path, "--watch", log=tmp_path / "host-log") as host:
        assert host.state == "Error"
        assert await service(host.port, tmp_path).ready()
        assert host.log.read_text().rstrip().endswith("ValueError: bad app")


async def test_host_that_does_not_listen_is_not_ready(tmp_path: Path) -> None:
    (port,) = free_ports(1)

    with pytest.raises(ConnectionRefusedError):
        await service(port, tmp_path).ready()
