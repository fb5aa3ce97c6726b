"""The exchange of the caller's token: what is asked of Entra ID, how often, and what its failures become."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError

from entra_mcp.downstream import DelegatedToken, OnBehalfOf
from entra_mcp.downstream.cache import TokenCache
from entra_mcp.downstream.consent import ConsentLink
from entra_mcp.downstream.refusals import DownstreamBusyError, DownstreamError, DownstreamRefusedError
from entra_mcp.settings import Settings
from entra_mcp.toolkit import Service
from tests.support.instances import ALICE, BOB, call, instance
from tests.support.mcp import refusal, structured

if TYPE_CHECKING:
    from collections.abc import Callable

LINK = ConsentLink(authorization_endpoint="https://login.example", client_id="client", redirect_uri="https://x/cb")


class Entra:
    """A source of credentials that issues `token 1`, `token 2` and so on."""

    def __init__(self, error: Exception | None = None, *, seconds: float = 0) -> None:
        self.asked: list[tuple[str, tuple[str, ...], str | None, bool]] = []
        self._error = error
        self._seconds = seconds

    async def get_obo_credential(self, user_assertion: str) -> Any:  # noqa: ANN401 - a credential for one person
        entra = self

        class Credential:
            async def get_token(self, *scopes: str, claims: str | None = None, enable_cae: bool = False) -> AccessToken:
                entra.asked.append((user_assertion, scopes, claims, enable_cae))
                await asyncio.sleep(entra._seconds)
                if entra._error is not None:
                    raise entra._error
                return AccessToken(f"token {len(entra.asked)}", int(time.time()) + 3600)

        return Credential()


def token(
    entra: Entra, cache: TokenCache, *, assertion: str = "alice", scopes: tuple[str, ...] = ("a", "b")
) -> DelegatedToken:
    return DelegatedToken(assertion=assertion, scopes=scopes, api="Orders", source=entra, cache=cache, consent=LINK)


async def test_exchange_asks_for_the_scopes_and_says_that_it_understands_challenges() -> None:
    entra, cache = Entra(), TokenCache()
    assert await token(entra, cache).get() == "token 1"
    assert await token(entra, cache).get() == "token 1"
    assert entra.asked == [("alice", ("a", "b"), None, True)]


async def test_another_sign_in_or_scope_is_another_exchange() -> None:
    entra, cache = Entra(), TokenCache()
    for other in (token(entra, cache), token(entra, cache, assertion="bob"), token(entra, cache, scopes=("a",))):
        await other.get()
    assert len(entra.asked) == 3


async def test_renewal_brings_the_demanded_claims_once_for_all_who_were_refused() -> None:
    entra, cache = Entra(), TokenCache()
    calls = [token(entra, cache) for _ in range(5)]
    (refused,) = {await each.get() for each in calls}
    assert {await each.renew(refused, claims="{}") for each in calls} == {"token 2"}
    assert entra.asked[1:] == [("alice", ("a", "b"), "{}", True)]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ClientAuthenticationError("AADSTS7000215: Contoso's secret"), DownstreamRefusedError),
        (ServiceRequestError("10.1.2.3 refused"), DownstreamBusyError),
        (TimeoutError(), DownstreamBusyError),
    ],
)
async def test_failure_of_the_exchange_is_told_without_its_details(
    error: Exception, kind: type[DownstreamError], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "entra_mcp"), pytest.raises(kind) as caught:
        await token(Entra(error), TokenCache()).get()
    assert "10.1.2.3" not in str(caught.value)
    assert "AADSTS" not in str(caught.value)
    assert "a b" in caplog.text
    assert "alice" not in caplog.text


async def test_exchange_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("entra_mcp.downstream.tokens.EXCHANGE_SECONDS", 0.05)
    with pytest.raises(DownstreamBusyError):
        await token(Entra(seconds=5), TokenCache()).get()


async def order(orders: DelegatedToken = OnBehalfOf("api://orders/Orders.Read", api="Contoso Orders")) -> str:
    """Order something on the caller's behalf."""
    return await orders.get()


async def address(settings: Settings = Service(Settings)) -> str:
    """Tell where the server is."""
    return settings.base_url


async def test_tool_of_a_server_that_only_verifies_tokens_cannot_act_for_the_caller(
    load_settings: Callable[..., Settings],
) -> None:
    async with instance(load_settings(), tools=(order,)) as http:
        assert "cannot act on your behalf" in refusal(await call(http, "order", token=ALICE))


async def test_tool_gets_the_settings(load_settings: Callable[..., Settings]) -> None:
    async with instance(load_settings(MCP_BASE_URL="https://mcp.fabrikam.com"), tools=(address,)) as http:
        assert structured(await call(http, "address", token=BOB)) == {"result": "https://mcp.fabrikam.com"}
