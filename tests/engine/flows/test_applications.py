"""Applications that call for themselves, with an app role instead of a person: off by default, in every mode."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from entra_mcp.vault.rotation import CurrentSecrets
from tests.engine.flows.conftest import started
from tests.support.mcp import result, structured

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.standins import StandIns

PRINCIPAL = "77777777-0001-4000-8000-000000000001"
DAEMON = "77777777-0002-4000-8000-000000000002"

APPLICATION: dict[str, Any] = {
    "scp": None,
    "name": None,
    "preferred_username": None,
    "sid": None,
    "oid": PRINCIPAL,
    "sub": PRINCIPAL,
    "azp": DAEMON,
    "idtyp": "app",
    "roles": ["Tasks.Run"],
}
"""What Entra ID changes in a token that an application gets for itself, with the claim `idtyp` asked for."""

MODES = ["proxy", "federated", "verify"]


def token(standins: StandIns, **changes: Any) -> str:  # noqa: ANN401 - a claim may be any JSON
    return standins.token("user", **APPLICATION | changes)


@pytest.mark.parametrize("mode", MODES)
async def test_application_is_refused_unless_a_setting_names_a_role(
    environment: Callable[..., None], standins: StandIns, mode: str
) -> None:
    async with started(environment, AUTH_MODE=mode) as client:
        response = await client.call(token(standins), "whoami")
    assert response.status_code == 401
    assert "resource_metadata=" in response.headers["www-authenticate"]


@pytest.mark.parametrize("mode", MODES)
async def test_application_with_the_role_is_known_to_a_tool_as_one(
    environment: Callable[..., None], standins: StandIns, mode: str
) -> None:
    async with started(environment, AUTH_MODE=mode, ENTRA_ALLOWED_APP_ROLES="Other Tasks.Run") as client:
        assert structured(await client.call(token(standins), "whoami")) == {
            "object_id": PRINCIPAL,
            "tenant_id": standins.tenant_id,
            "name": None,
            "username": None,
            "scopes": [],
            "roles": ["Tasks.Run"],
            "application_id": DAEMON,
        }
        assert structured(await client.call(token(standins, idtyp=None), "whoami"))["application_id"] == DAEMON


WITHOUT_THE_ROLE: list[dict[str, Any]] = [
    {"roles": None},
    {"roles": []},
    {"roles": ["tasks.run"]},
    {"roles": "Tasks.Run"},
    {"roles": [["Tasks.Run"], 1]},
]

NO_APPLICATION: list[dict[str, Any]] = [
    {"idtyp": None, "sub": "somebody else"},
    {"idtyp": "user"},
    {"idtyp": "device"},
    {"idtyp": ["app"]},
]
"""What a role does nothing for: with `verify` they are good tokens without the scope."""

NOT_ADMITTED: list[dict[str, Any]] = [
    *({"roles": None, **fault} for fault in ({"exp": 1_700_000_000}, {"aud": "other"}, {"iss": None})),
    {"scp": ""},
    {"scp": "access_as_user"},
    {"oid": None, "sub": None},
    {"tid": "33333333-3333-4333-8333-333333333333"},
    {"iss": "https://sts.windows.net/11111111-1111-4111-8111-111111111111/"},
    {"iss": "https://login.evil.example/11111111-1111-4111-8111-111111111111/v2.0"},
    {"iss": None},
    {"aud": "00000003-0000-0000-c000-000000000000"},
    {"exp": 1_700_000_000},
    {"nbf": 4_000_000_000},
]


@pytest.mark.parametrize("mode", MODES)
async def test_token_that_is_not_that_of_an_admitted_application_is_refused(
    environment: Callable[..., None], standins: StandIns, mode: str
) -> None:
    # One server for the whole table: starting one takes longer than all of its requests.
    async with started(environment, AUTH_MODE=mode, ENTRA_ALLOWED_APP_ROLES="Tasks.Run") as client:
        for status, table in (
            (401, NOT_ADMITTED),
            (403, WITHOUT_THE_ROLE),
            (403 if mode == "verify" else 401, NO_APPLICATION),
        ):
            answers = [(claims, await client.call(token(standins, **claims), "whoami")) for claims in table]
            assert [(claims, answer.status_code) for claims, answer in answers if answer.status_code != status] == []
        assert (await client.call(token(standins), "whoami")).status_code == 200


async def test_token_that_is_none_is_refused(environment: Callable[..., None]) -> None:
    async with started(environment, ENTRA_ALLOWED_APP_ROLES="Tasks.Run") as client:
        for forged in ("", "x", "a.b.c", "eyJhbGciOiJub25lIn0.eyJpc3MiOjF9.", "é", "." * 5000):
            headers = [(b"authorization", f"Bearer {forged}".encode())]
            assert (await client.http.post("/mcp", headers=headers, json={})).status_code == 401, forged


async def test_people_sign_in_beside_applications(environment: Callable[..., None], standins: StandIns) -> None:
    async with started(environment, ENTRA_ALLOWED_APP_ROLES="Tasks.Run") as client:
        tokens = await client.sign_in()
        person = structured(await client.call(tokens["access_token"], "whoami"))
        assert person["application_id"] is None
        assert person["username"]
        assert structured(await client.call(tokens["access_token"], "graph_me"))["object_id"] == person["object_id"]
        assert (await client.refresh(tokens["refresh_token"])).status_code == 200
        assert structured(await client.call(token(standins), "whoami"))["object_id"] == PRINCIPAL


async def test_person_with_the_role_still_has_to_sign_in_here(
    environment: Callable[..., None], standins: StandIns
) -> None:
    async with started(environment, ENTRA_ALLOWED_APP_ROLES="Tasks.Run") as client:
        assert (await client.call(standins.token("user", roles=["Tasks.Run"]), "whoami")).status_code == 401


async def test_verify_mode_serves_people_beside_applications(
    environment: Callable[..., None], standins: StandIns
) -> None:
    async with started(environment, AUTH_MODE="verify", ENTRA_ALLOWED_APP_ROLES="Tasks.Run") as client:
        assert structured(await client.call(standins.token("user"), "whoami"))["application_id"] is None
        assert (await client.call(standins.token("user", scp="other"), "whoami")).status_code == 403
        assert (await client.call(standins.token("user", scp=None, roles=["Tasks.Run"]), "whoami")).status_code == 403


@pytest.mark.parametrize("mode", ["proxy", "verify"])
async def test_applications_change_nothing_of_what_clients_discover(
    environment: Callable[..., None], mode: str
) -> None:
    seen: list[Any] = []
    for roles in ("", "Tasks.Run"):
        async with started(environment, AUTH_MODE=mode, ENTRA_ALLOWED_APP_ROLES=roles) as client:
            challenge = (await client.http.post("/mcp", json={})).headers["www-authenticate"]
            resource = (await client.http.get("/.well-known/oauth-protected-resource/mcp")).json()
            server = await client.http.get("/.well-known/oauth-authorization-server")
            seen.append((challenge, resource, server.json() if mode == "proxy" else server.status_code))
    assert seen[0] == seen[1]


async def test_tool_that_acts_for_a_person_tells_an_application_so(
    environment: Callable[..., None], standins: StandIns
) -> None:
    async with started(environment, ENTRA_ALLOWED_APP_ROLES="Tasks.Run") as client:
        outcome = result(await client.call(token(standins), "graph_me"))
    assert outcome["isError"] is True
    assert "acts for a person" in outcome["content"][0]["text"]


async def test_role_of_an_application_opens_what_the_role_of_a_person_opens(
    environment: Callable[..., None], standins: StandIns
) -> None:
    async with started(environment, ENTRA_ALLOWED_APP_ROLES="Tasks.Run") as client:
        assert (
            result(await client.call(token(standins, roles=["Tasks.Run", "Admin"]), "admin_stats"))["isError"] is False
        )
        assert "error" in (await client.call(token(standins), "admin_stats")).text.lower()


@pytest.mark.parametrize("mode", ["proxy", "verify"])
async def test_calls_of_applications_neither_read_the_vault_nor_warn(
    environment: Callable[..., None],
    standins: StandIns,
    mode: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    reread: list[CurrentSecrets] = []

    async def noted(secrets: CurrentSecrets) -> None:
        reread.append(secrets)
        await asyncio.sleep(0)

    monkeypatch.setattr(CurrentSecrets, "reread", noted)
    async with started(environment, AUTH_MODE=mode, ENTRA_ALLOWED_APP_ROLES="Tasks.Run") as client:
        caplog.clear()
        structured(await client.call(token(standins), "whoami"))
    assert reread == []
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == []


async def test_application_during_an_outage_of_entra_is_told_to_try_again(
    environment: Callable[..., None], own_standins: StandIns
) -> None:
    async with started(
        environment, ENTRA_ALLOWED_APP_ROLES="Tasks.Run", AUTH_MODE="verify", **own_standins.environment()
    ) as client:
        called = token(own_standins)
        own_standins.entra.stop()
        assert (await client.call(called, "whoami")).status_code == 503
