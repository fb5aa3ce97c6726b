"""Timers beside HTTP, and the host's administrative routes."""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import pytest

from tests.engine.functions.harness import MCP_APP, eventually

if TYPE_CHECKING:
    from tests.engine.functions.harness import RunningHost


def test_timer_fires_on_schedule_and_at_startup_beside_http(host: RunningHost) -> None:
    before = host.diagnostics()["fired"].count("tick")

    assert before >= 1
    assert eventually(lambda: host.diagnostics()["fired"].count("tick") >= before + 2)
    assert "purge" not in host.diagnostics()["fired"][:before]


@pytest.mark.parametrize("content", [b"", b"{}", b'{"input": ""}'])
def test_timer_fires_when_the_admin_route_is_called(host: RunningHost, content: bytes) -> None:
    before = host.diagnostics()["fired"].count("purge")

    assert httpx2.post(f"{host.url}/admin/functions/purge", content=content).status_code == 202
    assert eventually(lambda: host.diagnostics()["fired"].count("purge") == before + 1)


@pytest.mark.parametrize(
    ("name", "content", "status"),
    [
        ("nobody", b"", 404),
        ("mcp", b"", 400),
        ("purge", b"not json", 400),
        ("purge", b'{"input": 1}', 400),
        ("purge", b"[]", 400),
        ("purge", b" " * (2**20 + 1), 400),
    ],
)
def test_admin_route_refuses_what_cannot_be_fired(host: RunningHost, name: str, content: bytes, status: int) -> None:
    assert httpx2.post(f"{host.url}/admin/functions/{name}", content=content).status_code == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "rebound.example"}, 421),
        ({"host": "localhost.rebound.example"}, 421),
        ({"host": "localhost:7071@rebound.example"}, 421),
        ({"host": ""}, 421),
        ({"host": "["}, 421),
        ({"host": "[::1"}, 421),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
    ],
)
def test_admin_route_refuses_browsers_of_other_sites(host: RunningHost, headers: dict[str, str], status: int) -> None:
    before = host.diagnostics()["fired"].count("purge")

    assert httpx2.post(f"{host.url}/admin/functions/purge", headers=headers).status_code == status
    assert host.diagnostics()["fired"].count("purge") == before


def test_status_and_ping_answer(host: RunningHost) -> None:
    assert httpx2.get(f"{host.url}/admin/host/status").json()["state"] == "Running"
    assert httpx2.get(f"{host.url}/admin/host/ping").status_code == 200
    assert httpx2.post(f"{host.url}/admin/host/ping").status_code == 200


def test_functions_are_listed_with_their_bindings(host: RunningHost) -> None:
    listed = {entry["name"]: entry["config"]["bindings"] for entry in httpx2.get(f"{host.url}/admin/functions").json()}

    assert set(listed) == {"mcp", "broken", "keyed", "purge", "tick"}
    assert listed["purge"][0]["schedule"] == "0 0 0 1 1 *"
    assert httpx2.get(f"{host.url}/admin/functions/mcp").json()["name"] == "mcp"
    assert httpx2.get(f"{host.url}/admin/functions/nobody").status_code == 404


def test_function_level_wants_a_key_that_only_its_owner_can_read(host: RunningHost) -> None:
    url = f"{host.url}/keyed"
    assert httpx2.get(url).status_code == 401
    assert httpx2.get(url, params={"code": "wrong"}).status_code == 401
    path = Path(MCP_APP / ".local" / "host-keys.json")
    keys = json.loads(path.read_text())

    if sys.platform != "win32":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert httpx2.get(url, params={"code": keys["default"]}).status_code == 404  # reached: the app has no such page
    assert httpx2.get(url, headers={"x-functions-key": keys["master"]}).status_code == 404


def test_query_strings_stay_out_of_the_log(host: RunningHost) -> None:
    httpx2.get(f"{host.url}/echo/logged", params={"code": "do-not-log-me"})

    assert eventually(lambda: "/echo/logged" in host.log.read_text())
    assert "do-not-log-me" not in host.log.read_text()


def test_probes_stay_out_of_the_log(host: RunningHost) -> None:
    httpx2.get(f"{host.url}/admin/host/status")
    httpx2.get(f"{host.url}/healthz")
    httpx2.get(f"{host.url}/echo/behind-the-probes")

    assert eventually(lambda: "/echo/behind-the-probes" in host.log.read_text())
    assert "/admin/host/" not in host.log.read_text()
    assert "/healthz" not in host.log.read_text()
