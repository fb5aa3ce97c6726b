"""Requests to Microsoft Graph: what goes out, what is tried again, and what client and log learn of a failure."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from fastmcp.exceptions import ToolError

from entra_mcp.downstream import GraphClient, open_downstream
from entra_mcp.downstream.graph import BUDGET_SECONDS
from entra_mcp.downstream.refusals import DownstreamBusyError, SignInAgainError
from entra_mcp.downstream.shared import TIMEOUT
from tests.support.clock import virtual_time

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from entra_mcp.settings import Settings

TOKEN = "secret-token-of-the-caller"
BASE_URL = "https://graph.example"
CLAIMS = json.dumps({"access_token": {"nbf": {"essential": True, "value": "1604106651"}}})


class Tokens:
    """Gives `TOKEN`, and another one when Graph demands more."""

    def __init__(self) -> None:
        self.renewals: list[tuple[str, str]] = []

    async def get(self) -> str:
        return TOKEN

    async def renew(self, refused: str, *, claims: str) -> str:
        self.renewals.append((refused, claims))
        return f"{TOKEN}-{len(self.renewals)}"


class Answers:
    """Answers in turn, the last one for ever; keeps the requests."""

    def __init__(self, *answers: httpx2.Response) -> None:
        self._answers = list(answers)
        self.requests: list[httpx2.Request] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


def client_of(
    http: httpx2.AsyncClient, tokens: Tokens | None = None, *, budget_seconds: float = BUDGET_SECONDS
) -> GraphClient:
    source: Any = tokens or Tokens()
    return GraphClient(http=http, token=source, budget_seconds=budget_seconds)


@asynccontextmanager
async def graph(
    answer: Callable[[httpx2.Request], httpx2.Response],
    tokens: Tokens | None = None,
    *,
    budget_seconds: float = BUDGET_SECONDS,
) -> AsyncGenerator[GraphClient]:
    async with httpx2.AsyncClient(base_url=BASE_URL, transport=httpx2.MockTransport(answer)) as http:
        yield client_of(http, tokens, budget_seconds=budget_seconds)


async def test_request_carries_token_path_and_selection() -> None:
    requests: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        requests.append(request)
        return httpx2.Response(200, json={"id": "1"})

    async with graph(answer) as client:
        assert await client.get("/me", select=("id", "displayName")) == {"id": "1"}
        assert await client.get("/me/manager") == {"id": "1"}

    selected, whole = requests
    assert (selected.method, selected.url.path) == ("GET", "/v1.0/me")
    assert selected.url.params["$select"] == "id,displayName"
    assert selected.headers["authorization"] == f"Bearer {TOKEN}"
    assert (whole.url.path, whole.url.query) == ("/v1.0/me/manager", b"")


@pytest.mark.parametrize("status", [301, 304, 400, 403, 404, 500, 502])
async def test_answer_other_than_success_is_refused_without_its_details(
    status: int, caplog: pytest.LogCaptureFixture
) -> None:
    def answer(_: httpx2.Request) -> httpx2.Response:
        details = {"error": {"code": "Denied", "message": "tenant contoso-internal"}, "id": "1"}
        return httpx2.Response(
            status, json=details, headers={"request-id": "request-42", "location": "https://evil.example"}
        )

    with caplog.at_level(logging.WARNING, "entra_mcp"):
        async with graph(answer) as client:
            with pytest.raises(ToolError) as caught:
                await client.get("/me")

    assert str(caught.value) == f"Microsoft Graph refused the request with status {status}."
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("entra_mcp.downstream.graph", logging.WARNING)
    assert str(status) in record.getMessage()
    assert "GET /me" in record.getMessage()
    assert "code Denied" in record.getMessage()
    assert "request-42" in record.getMessage()
    assert "contoso" not in caplog.text
    assert TOKEN not in caplog.text


async def test_refusal_without_a_request_id_is_logged_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    async with graph(lambda _: httpx2.Response(403)) as client:
        with pytest.raises(ToolError, match="403"):
            await client.get("/me")
    assert "403" in caplog.text


@pytest.mark.parametrize(
    "error",
    [
        httpx2.ConnectError,
        httpx2.ConnectTimeout,
        httpx2.PoolTimeout,
        httpx2.ReadError,
        httpx2.ReadTimeout,
        httpx2.RemoteProtocolError,
        httpx2.WriteError,
    ],
)
async def test_failed_connection_is_told_without_its_details(
    error: type[httpx2.TransportError], caplog: pytest.LogCaptureFixture
) -> None:
    def answer(_: httpx2.Request) -> httpx2.Response:
        raise error("10.1.2.3 refused")

    with caplog.at_level(logging.WARNING, "entra_mcp"):
        async with graph(answer) as client:
            with pytest.raises(ToolError) as caught:
                await client.get("/me")

    assert str(caught.value) == "Microsoft Graph did not answer. Try again in a moment."
    assert isinstance(caught.value.__cause__, error)
    assert f"GET /me: {error.__name__}" in caplog.text
    assert TOKEN not in caplog.text


@asynccontextmanager
async def loopback(answer: bytes, *, closes: bool) -> AsyncGenerator[str]:
    """The address of a server that writes this when a request is there, and then closes or says no more."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        if not closes:
            await reader.read()  # until the client goes away
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize(
    ("answer", "closes", "error"),
    [
        (b"", False, "ReadTimeout"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{", False, "ReadTimeout"),
        (b"", True, "RemoteProtocolError"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{", True, "RemoteProtocolError"),
        (b"not http\r\n\r\n", True, "RemoteProtocolError"),
    ],
)
async def test_server_that_breaks_off_is_one_that_did_not_answer(
    answer: bytes, closes: bool, error: str, caplog: pytest.LogCaptureFixture
) -> None:
    timeout = httpx2.Timeout(10, read=0.2)
    async with (
        loopback(answer, closes=closes) as url,
        httpx2.AsyncClient(base_url=url, timeout=timeout, trust_env=False) as http,
    ):
        with pytest.raises(ToolError, match="did not answer"):
            await client_of(http).get("/me")
    assert error in caplog.text


def throttled(status: int, retry_after: str | None) -> httpx2.Response:
    return httpx2.Response(status, headers={} if retry_after is None else {"Retry-After": retry_after})


@pytest.mark.parametrize("status", [429, 503, 504])
@pytest.mark.parametrize("retry_after", [None, "0", "nonsense", "Thu, 01 Jan 1970 00:00:00 GMT"])
async def test_request_that_graph_throttles_is_made_again(
    status: int, retry_after: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("entra_mcp.downstream.graph.FIRST_WAIT_SECONDS", 0.01)
    answers = Answers(throttled(status, retry_after), httpx2.Response(200, json={"id": "1"}))
    async with graph(answers) as client:
        assert await client.get("/me") == {"id": "1"}
    assert len(answers.requests) == 2


async def test_wait_that_graph_asks_for_is_honoured() -> None:
    answers = Answers(throttled(429, "17"), httpx2.Response(200, json={"id": "1"}))
    with virtual_time() as clock:
        began = clock()
        async with graph(answers) as client:
            await client.get("/me")
        assert clock() - began == pytest.approx(17)


async def test_wait_that_is_too_long_is_told() -> None:
    in_an_hour = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    answers = Answers(throttled(429, in_an_hour), httpx2.Response(200, json={"id": "1"}))
    async with graph(answers, budget_seconds=5) as client:
        with pytest.raises(DownstreamBusyError, match=r"Try again in 3[56]\d\d s"):
            await client.get("/me")
    assert len(answers.requests) == 1


async def test_throttling_without_end_ends_with_the_budget() -> None:
    answers = Answers(throttled(429, "0"))
    with virtual_time() as clock:
        began = clock()
        async with graph(answers, budget_seconds=0.7) as client:
            with pytest.raises(DownstreamBusyError):
                await client.get("/me")
            with pytest.raises(DownstreamBusyError):
                await client.get("/me/manager")
        assert clock() - began == pytest.approx(0.5)
    assert len(answers.requests) == 3


async def test_graph_that_takes_longer_than_the_budget_did_not_answer() -> None:
    async def never(_: httpx2.Request) -> httpx2.Response:
        await asyncio.Event().wait()
        raise AssertionError

    async with httpx2.AsyncClient(base_url=BASE_URL, transport=httpx2.MockTransport(never)) as http:
        with pytest.raises(DownstreamBusyError, match="did not answer"):
            await client_of(http, budget_seconds=0.1).get("/me")


def challenge(encoded: str, error: str = "insufficient_claims") -> httpx2.Response:
    header = f'Bearer realm="", client_id="00000003", error="{error}", claims="{encoded}"'
    return httpx2.Response(401, headers={"WWW-Authenticate": header})


ENCODED = base64.b64encode(CLAIMS.encode()).decode()


@pytest.mark.parametrize("encoded", [ENCODED, ENCODED.rstrip("="), ENCODED.replace("+", "-").replace("/", "_")])
async def test_claims_that_graph_demands_are_asked_for_and_the_request_repeated(encoded: str) -> None:
    answers, tokens = Answers(challenge(encoded), httpx2.Response(200, json={"id": "1"})), Tokens()
    async with graph(answers, tokens) as client:
        assert await client.get("/me") == {"id": "1"}
    assert tokens.renewals == [(TOKEN, CLAIMS)]
    sent = [request.headers["authorization"] for request in answers.requests]
    assert sent == [f"Bearer {TOKEN}", f"Bearer {TOKEN}-1"]


async def test_demand_that_a_new_token_does_not_meet_ends_in_signing_in_again() -> None:
    answers, tokens = Answers(challenge(ENCODED)), Tokens()
    async with graph(answers, tokens) as client:
        with pytest.raises(SignInAgainError, match="sign in again"):
            await client.get("/me")
    assert len(answers.requests) == 2


@pytest.mark.parametrize(
    "refusal",
    [
        httpx2.Response(401),
        challenge(ENCODED, error="invalid_token"),
        challenge("/w=="),
        challenge("A"),
        challenge('", x="'),
    ],
    ids=["no challenge", "other error", "not text", "not base64", "no value"],
)
async def test_refused_token_without_a_demand_ends_in_signing_in_again(refusal: httpx2.Response) -> None:
    answers, tokens = Answers(refusal), Tokens()
    async with graph(answers, tokens) as client:
        with pytest.raises(SignInAgainError):
            await client.get("/me")
    assert tokens.renewals == []


def listed(items: Sequence[str], link: str | None = None) -> httpx2.Response:
    following = {} if link is None else {"@odata.nextLink": link}
    return httpx2.Response(200, json={"value": [{"id": item} for item in items], **following})


async def test_list_goes_on_where_the_cursor_says() -> None:
    answers = Answers(listed("ab", f"{BASE_URL}/v1.0/me/events?$top=2&%24skip=2&$select=id"), listed("c"), listed(""))
    async with graph(answers) as client:
        first = await client.page("/me/events", select=("id",), parameters={"$top": "2"})
        assert [item["id"] for item in first.items] == ["a", "b"]
        assert first.cursor is not None
        last = await client.page("/me/events", cursor=first.cursor, select=("id",), parameters={"$top": "2"})
        assert ([item["id"] for item in last.items], last.cursor) == (["c"], None)
    assert dict(answers.requests[1].url.params) == {"$select": "id", "$top": "2", "$skip": "2"}


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "https://evil.example/collect",
        "$select=secret",
        "$skip=2&$filter=x",
        "../../users",
        "$skip",
    ],
)
async def test_invented_cursor_is_refused_before_a_request(cursor: str) -> None:
    answers = Answers(listed("a"))
    async with graph(answers) as client:
        with pytest.raises(ToolError, match="cursor"):
            await client.page("/me/events", cursor=cursor)
    assert answers.requests == []


async def test_link_to_another_site_is_not_followed() -> None:
    answers = Answers(listed("a", "https://evil.example/v1.0/me/events?$skiptoken=x"), listed("b"))
    async with graph(answers) as client:
        first = await client.page("/me/events")
        await client.page("/me/events", cursor=first.cursor)
    assert {request.url.host for request in answers.requests} == {"graph.example"}


async def test_lifespan_shares_one_connection_pool_with_limits_and_closes_it(
    load_settings: Callable[..., Settings],
) -> None:
    async with open_downstream(load_settings(GRAPH_BASE_URL=BASE_URL), auth=None) as downstream:
        assert str(downstream.graph.base_url).rstrip("/") == BASE_URL
        assert downstream.graph.timeout == TIMEOUT
        # A redirect would take the caller's token to wherever it points.
        assert downstream.graph.follow_redirects is False
    assert downstream.graph.is_closed


def test_no_wait_for_graph_is_without_limit() -> None:
    waits = (TIMEOUT.connect, TIMEOUT.read, TIMEOUT.write, TIMEOUT.pool)
    assert all(wait is not None and wait <= 10 for wait in waits)
