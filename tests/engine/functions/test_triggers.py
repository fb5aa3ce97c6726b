"""Timers beside HTTP, and the host's administrative routes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.processes import eventually

if TYPE_CHECKING:
    from tests.engine.functions.harness import RunningHost


def test_timer_fires_on_schedule_and_at_startup_beside_http(host: RunningHost) -> None:
    before = host.diagnostics()["fired"].count("tick")

    assert before >= 1
    assert eventually(lambda: host.diagnostics()["fired"].count("tick") >= before + 2)
    assert "purge" not in host.diagnostics()["fired"][:before]


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8"])
def test_timer_fires_when_the_admin_route_is_called(host: RunningHost, content_type: str) -> None:
    before = host.diagnostics()["fired"].count("purge")
    fired = host.post("/admin/functions/purge", headers={"content-type": content_type}, content=b"{}")

    assert fired.status_code == 202
    assert eventually(lambda: host.diagnostics()["fired"].count("purge") == before + 1)


@pytest.mark.parametrize(
    ("name", "content_type", "status"),
    [("nobody", "application/json", 404), ("mcp", "application/json", 404), ("purge", "text/plain", 415)],
)
def test_admin_route_refuses_what_cannot_be_fired(host: RunningHost, name: str, content_type: str, status: int) -> None:
    answer = host.post(f"/admin/functions/{name}", headers={"content-type": content_type}, content=b"{}")
    assert answer.status_code == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "rebound.example"}, 421),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
    ],
)
def test_admin_route_refuses_browsers_of_other_sites(host: RunningHost, headers: dict[str, str], status: int) -> None:
    before = host.diagnostics()["fired"].count("purge")

    assert host.post("/admin/functions/purge", headers=headers).status_code == status
    assert host.diagnostics()["fired"].count("purge") == before


def test_status_answers(host: RunningHost) -> None:
    assert host.get("/admin/host/status").json()["state"] == "Running"


def test_query_strings_stay_out_of_the_log(host: RunningHost) -> None:
    host.get("/echo/logged", params={"code": "do-not-log-me"})

    assert eventually(lambda: "/echo/logged" in host.log.read_text())
    assert "do-not-log-me" not in host.log.read_text()


def test_probes_stay_out_of_the_log(host: RunningHost) -> None:
    host.get("/admin/host/status")
    host.get("/healthz")
    host.get("/echo/behind-the-probes")

    assert eventually(lambda: "/echo/behind-the-probes" in host.log.read_text())
    assert "/admin/host/" not in host.log.read_text()
    assert "/healthz" not in host.log.read_text()
