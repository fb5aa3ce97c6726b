"""The exchange of the caller's token: what is asked of Entra ID, how often, and what its failures become."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError
from fastmcp import Context  # noqa: TC002 - FastMCP reads the annotation
from mcp.types import InputRequiredResult  # noqa: TC002 - as above
from pydantic import BaseModel

from entra_mcp.downstream import DelegatedToken, OnBehalfOf
from entra_mcp.downstream.cache import TokenCache
from entra_mcp.downstream.refusals import (
    ConsentRequiredError,
    DownstreamBusyError,
    DownstreamError,
    DownstreamRefusedError,
)
from entra_mcp.downstream.tokens import CONSENT_LOOKS
from entra_mcp.settings import Settings
from entra_mcp.toolkit import Service, answered, ask
from tests.support.instances import ALICE, BOB, call, instance
from tests.support.mcp import SESSIONLESS, refusal, result, structured, tool_call

if TYPE_CHECKING:
    from collections.abc import Callable

MISSING = ClientAuthenticationError("AADSTS65001: consent is missing")
LINK = "https://login.example/consent"


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


def token(entra: Entra, cache: TokenCache, *, assertion: str = "alice", **how: Any) -> DelegatedToken:  # noqa: ANN401 - its arguments
    given: dict[str, Any] = {"scopes": ("a", "b"), "api": "Orders", "consent_url": LINK, "source": entra, **how}
    return DelegatedToken(assertion=assertion, cache=cache, **given)


async def question(**whose: Any) -> str:  # noqa: ANN401 - as for `token`
    """The name of the question for a consent."""
    with pytest.raises(ConsentRequiredError) as missing:
        await token(Entra(MISSING), TokenCache(), **whose).get()
    return missing.value.question


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


async def test_question_for_a_consent_is_that_of_one_sign_in_and_its_scopes() -> None:
    asked = [await question(), await question(assertion="bob"), await question(scopes=("a",))]
    assert len(set(asked)) == 3
    assert await question() == asked[0]


async def test_token_waits_for_a_consent_that_the_person_is_giving_and_for_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("entra_mcp.downstream.tokens.PAUSE_SECONDS", 0)
    opened = await question()
    for scopes, exchanges in ((("a", "b"), CONSENT_LOOKS + 1), (("a",), 1)):
        entra = Entra(MISSING)
        with pytest.raises(ConsentRequiredError):
            await token(entra, TokenCache(), scopes=scopes, opened=opened.__eq__).get()
        assert len(entra.asked) == exchanges


async def wish(context: Context) -> str | InputRequiredResult:
    """Ask something, then find that a consent is missing."""
    if answered(context, "wish", Wish) is None:
        return ask("wish", Wish, "What do you wish?", state="asked")
    raise ConsentRequiredError(scopes=["Orders.Read"], url=LINK, question="consent")


class Wish(BaseModel):
    """What somebody wishes."""

    text: str


async def test_tool_with_a_question_of_its_own_ends_where_a_consent_is_missing(
    load_settings: Callable[..., Settings],
) -> None:
    able: dict[str, Any] = {"io.modelcontextprotocol/clientCapabilities": {"elicitation": {"form": {}, "url": {}}}}
    answer = {"wish": {"action": "accept", "content": {"text": "tea"}}}
    async with instance(load_settings(), tools=(wish,)) as http:
        asked = result(await http.post("/mcp", **tool_call("wish", protocol=SESSIONLESS, token=ALICE, meta=able)))
        rounds = {"requestState": asked["requestState"], "inputResponses": answer}
        ended = await http.post("/mcp", **tool_call("wish", protocol=SESSIONLESS, token=ALICE, meta=able, **rounds))
    assert [*asked["inputRequests"]] == ["wish"]
    assert LINK in refusal(ended)


async def order(orders: DelegatedToken = OnBehalfOf("api://orders/Orders.Read", api="Contoso Orders")) -> str:
    """Order something on the caller's behalf."""
    return await orders.get()


async def address(settings: Settings = Service(Settings)) -> str:
    """Show where the server is."""
    return settings.base_url


async def test_tool_of_a_server_that_only_verifies_tokens_cannot_act_for_the_caller(
    load_settings: Callable[..., Settings],
) -> None:
    async with instance(load_settings(), tools=(order,)) as http:
        assert "cannot act on your behalf" in refusal(await call(http, "order", token=ALICE))


async def test_tool_gets_the_settings(load_settings: Callable[..., Settings]) -> None:
    async with instance(load_settings(MCP_BASE_URL="https://mcp.fabrikam.com"), tools=(address,)) as http:
        assert structured(await call(http, "address", token=BOB)) == {"result": "https://mcp.fabrikam.com"}
