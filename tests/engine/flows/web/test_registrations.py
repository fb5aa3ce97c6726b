"""Registration in bounds: how often, and what a client may say of itself."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.engine.flows.web.conftest import browser, from_address
from tests.support.mcp import structured
from tests.support.oauth import REDIRECT_URI, OAuthClient

if TYPE_CHECKING:
    import httpx2

    from tests.engine.flows.web.conftest import Start

pytestmark = pytest.mark.asyncio(loop_scope="package")


TIGHT = {"MCP_REGISTRATIONS_PER_MINUTE": "5", "MCP_REGISTRATIONS_PER_MINUTE_OVERALL": "20"}


async def register(http: httpx2.AsyncClient, headers: dict[str, str]) -> httpx2.Response:
    return await http.post("/register", headers=headers, json={"redirect_uris": [REDIRECT_URI]})


async def test_flood_from_one_address_is_refused_while_registered_clients_sign_in(start: Start) -> None:
    async with start(**TIGHT) as app, browser(app) as http:
        honest = OAuthClient(http=http)
        assert (await honest.register()).status_code == 201
        flood = from_address("203.0.113.7")
        answers = await asyncio.gather(*(register(http, flood) for _ in range(40)))
        assert sorted(answer.status_code for answer in answers) == [201] * 5 + [429] * 35
        refused = next(answer for answer in answers if answer.status_code == 429)
        assert 1 <= int(refused.headers["retry-after"]) <= 12
        assert refused.json()["error"] == "too_many_requests"
        assert refused.headers["cache-control"] == "no-store"
        tokens = (await honest.redeem(await honest.code())).json()
        assert structured(await honest.call(tokens["access_token"], "add", {"a": 1, "b": 1})) == {"result": 2}
        assert (await honest.refresh(tokens["refresh_token"])).status_code == 200
        assert (await register(http, from_address("203.0.113.8"))).status_code == 201


async def test_flood_from_many_addresses_is_bounded_overall(start: Start) -> None:
    async with start(**TIGHT) as app, browser(app) as http:
        honest = OAuthClient(http=http)
        await honest.register()
        flood = (from_address(f"198.51.100.{last}") for last in range(100))
        answers = await asyncio.gather(*(register(http, headers) for headers in flood))
        assert sum(answer.status_code == 201 for answer in answers) == 19
        assert all("retry-after" in answer.headers for answer in answers if answer.status_code == 429)
        assert (await honest.consent_page()).status_code == 200


async def test_address_that_the_client_claims_counts_for_nothing(start: Start) -> None:
    async with start(MCP_REGISTRATIONS_PER_MINUTE="3") as app, browser(app) as http:
        flood = (from_address("203.0.113.7", claimed=f"192.0.2.{last}") for last in range(6))
        statuses = [(await register(http, headers)).status_code for headers in flood]
        forged = {**from_address("203.0.113.7"), "Client-IP": "192.0.2.99", "X-Azure-ClientIP": "192.0.2.98"}
        statuses.append((await register(http, forged)).status_code)
        statuses.append((await register(http, from_address("203.0.113.7:53211"))).status_code)
    assert statuses == [201] * 3 + [429] * 5


async def test_registration_by_another_method_passes_no_limit(start: Start) -> None:
    """OPTIONS that is no preflight reached the handlers themselves, behind limits that look for POST."""
    async with start(MCP_REGISTRATIONS_PER_MINUTE="1") as app, browser(app) as http:
        flood = from_address("203.0.113.7")
        for method in ("OPTIONS", "GET", "PUT", "PATCH", "DELETE", "TRACE", "options", "X"):
            for name in ("T", "n" * 10_000):
                metadata = {"redirect_uris": [REDIRECT_URI], "client_name": name}
                answer = await http.request(method, "/register", headers=flood, json=metadata)
                assert answer.status_code == 405, f"{method}: {answer.text}"
                assert "client_id" not in answer.text
        assert (await register(http, flood)).status_code == 201


@pytest.mark.parametrize("path", ["/token", "/revoke"])
async def test_endpoint_of_tokens_takes_posts_alone(client: OAuthClient, path: str) -> None:
    await client.register()
    form = {"client_id": client.client_id, "token": "x", "grant_type": "refresh_token", "refresh_token": "x"}
    for method in ("OPTIONS", "GET", "PUT", "PATCH", "DELETE", "TRACE"):
        answer = await client.http.request(method, path, data=form)
        assert answer.status_code == 405, f"{method}: {answer.text}"
        assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize(
    ("setting", "header"), [({}, "Client-IP"), ({"MCP_CLIENT_ADDRESS_HEADER": "X-Azure-ClientIP"}, "X-Azure-ClientIP")]
)
async def test_address_in_azure_is_the_one_that_the_platform_writes(
    start: Start, setting: dict[str, str], header: str
) -> None:
    changes = {"WEBSITE_HOSTNAME": "func.azurewebsites.net", "MCP_REGISTRATIONS_PER_MINUTE": "1", **setting}
    async with start(**changes) as app, browser(app) as http:
        statuses = [
            (await register(http, {**from_address("169.254.130.1"), header: address})).status_code
            for address in (
                "203.0.113.7:1000",
                "203.0.113.8:1000",
                "203.0.113.7:1001",
                "[2001:db8::1]:1",
                "2001:db8::2",
            )
        ]
    assert statuses == [201, 201, 429, 201, 429]


BOUNDS: list[tuple[dict[str, Any], str]] = [
    ({"redirect_uris": [f"http://localhost:{port}/cb" for port in range(5000, 5021)]}, "invalid_redirect_uri"),
    ({"redirect_uris": ["http://localhost/" + "a" * 2048]}, "invalid_redirect_uri"),
    ({"jwks": {"keys": []}, "jwks_uri": "https://contoso.com/keys"}, "invalid_client_metadata"),
    ({"grant_types": ["client_credentials"]}, "invalid_client_metadata"),
    ({"grant_types": "authorization_code"}, "invalid_client_metadata"),
    ({"response_types": ["token"]}, "invalid_client_metadata"),
    ({"client_name": 1}, "invalid_client_metadata"),
    ({"redirect_uris": REDIRECT_URI}, "invalid_client_metadata"),
    ({"redirect_uris": []}, "invalid_redirect_uri"),
    ({"redirect_uris": [1]}, "invalid_redirect_uri"),
]


@pytest.mark.parametrize(("metadata", "error"), BOUNDS)
async def test_metadata_out_of_bounds_is_refused(
    http: httpx2.AsyncClient, metadata: dict[str, Any], error: str
) -> None:
    response = await http.post("/register", json={"redirect_uris": [REDIRECT_URI], **metadata})
    assert (response.status_code, response.json()["error"]) == (400, error)
    assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"x"',
        b"{",
        b"[" * 60_000,
        b'{"redirect_uris": ["\xff"]}',
        b"\x00",
        b'{"x": ' + b"9" * 5000 + b"}",
        b'{"redirect_uris": ["http://localhost/cb"], "client_name": "\\ud800"}',
    ],
)
async def test_body_that_is_no_metadata_is_refused(http: httpx2.AsyncClient, body: bytes) -> None:
    response = await http.post("/register", content=body)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_client_metadata")


async def test_metadata_at_the_bounds_is_accepted(http: httpx2.AsyncClient) -> None:
    uris = [f"http://localhost:{port}/{'a' * 2000}" for port in range(5000, 5020)]
    response = await http.post("/register", json={"redirect_uris": uris, "client_name": "n" * 128})
    assert response.status_code == 201
    assert len(response.json()["redirect_uris"]) == 20


KEPT = {
    "client_id",
    "client_id_issued_at",
    "redirect_uris",
    "client_name",
    "grant_types",
    "response_types",
    "scope",
    "token_endpoint_auth_method",
    "application_type",
}


@pytest.mark.parametrize(
    "metadata",
    [
        {"client_uri": "https://contoso.com/" + "a" * 2048},
        {"scope": "a " * 2000},
        {"contacts": ["a@contoso.com"] * 51},
        {"jwks": {"keys": [{"x": "a" * 3000}]}},
        {f"member{number}": 1 for number in range(60)},
        {"m" * 3000: 1},
        {"deep": [[[[[[[[[[1]]]]]]]]]]},
    ],
)
async def test_what_is_not_kept_has_no_bounds_of_its_own(http: httpx2.AsyncClient, metadata: dict[str, Any]) -> None:
    sent = {"redirect_uris": [REDIRECT_URI], "client_name": "n" * 10_240, **metadata}
    registered = (await http.post("/register", json=sent)).json()
    assert set(registered) <= KEPT
    assert registered["scope"] == "access_as_user"
    assert registered["client_name"] == "n" * 128
