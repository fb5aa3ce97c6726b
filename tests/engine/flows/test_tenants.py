"""Who may sign in: one tenant, any organization, some organizations, personal accounts."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from local.config import TENANT_ID
from tests.engine.flows.conftest import BASE_URL, over, started
from tests.support.app.server import running_app
from tests.support.mcp import structured
from tests.support.oauth import OAuthClient

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx2

    from tests.support.standins import StandIns


def multi_tenant(standins: StandIns, tenant: str) -> dict[str, str]:
    return {
        "ENTRA_TENANT_ID": tenant,
        "ENTRA_AUTHORIZATION_ENDPOINT": f"{standins.sign_in_url}/{tenant}/oauth2/v2.0/authorize",
    }


async def come_back(client: OAuthClient, account: str) -> httpx2.Response:
    """Signs in at Entra ID; the answer is the server's to the redirect from there."""
    await client.register()
    upstream = await client.consent(await client.consent_page())
    return await client.callback(upstream.headers["location"], account)


async def attempt(account: str, tool: str = "whoami") -> httpx2.Response:
    """Signs in and calls a tool; the answer is of the first step that the server refuses."""
    async with running_app() as app, over(app) as http:
        client = OAuthClient(http=http)
        back = await come_back(client, account)
        if back.status_code != 302:
            return back
        tokens = await client.redeem(client.answer(back)["code"])
        if tokens.status_code != 200:
            return tokens
        return await client.call(tokens.json()["access_token"], tool)


@pytest.mark.parametrize(
    ("tenant", "account"), [("organizations", "user"), ("organizations", "other"), ("consumers", "personal")]
)
async def test_account_of_an_admitted_kind_signs_in(
    environment: Callable[..., None], standins: StandIns, tenant: str, account: str
) -> None:
    environment(**multi_tenant(standins, tenant))
    assert structured(await attempt(account))["username"]


@pytest.mark.parametrize("account", ["user", "other"])
async def test_token_is_exchanged_at_the_tenant_that_issued_it(
    environment: Callable[..., None], standins: StandIns, caplog: pytest.LogCaptureFixture, account: str
) -> None:
    environment(**multi_tenant(standins, "organizations"))
    with caplog.at_level(logging.INFO, logger="azure.core.pipeline.policies.http_logging_policy"):
        assert structured(await attempt(account, "graph_me"))["username"]
        tenant = structured(await attempt(account))["tenant_id"]
    exchanges = [record.getMessage() for record in caplog.records if "/oauth2/v2.0/token" in record.getMessage()]
    assert exchanges
    assert all(f"/{tenant}/oauth2/v2.0/token" in message for message in exchanges)


async def test_account_of_a_listed_tenant_signs_in(environment: Callable[..., None], standins: StandIns) -> None:
    environment(**multi_tenant(standins, "organizations"), ENTRA_ALLOWED_TENANTS=standins.tenant_id)
    assert structured(await attempt("user"))["tenant_id"] == standins.tenant_id


async def test_account_of_an_unlisted_tenant_ends_at_the_sign_in(
    environment: Callable[..., None], standins: StandIns
) -> None:
    async with started(
        environment, **multi_tenant(standins, "organizations"), ENTRA_ALLOWED_TENANTS=TENANT_ID
    ) as client:
        answer = client.answer(await come_back(client, "other"))
    assert answer["error"] == "access_denied"
    assert "another" in answer["error_description"]
    assert answer["state"] == client.state
    assert answer["iss"] == f"{BASE_URL}/"
    assert "code" not in answer
