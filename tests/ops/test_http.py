"""Requests to an API: which are repeated and how long, pages, and what a refusal says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx2
import pytest

from ops.credentials import Tokens
from ops.errors import ApiError, UnreachableError
from ops.http import Api, Patience
from tests.support.azure import FakeCredential
from tests.support.azure.world import TENANT

if TYPE_CHECKING:
    from collections.abc import Callable

BASE = "https://api.example/v1"


def api(
    answer: Callable[[httpx2.Request], httpx2.Response], waits: list[float] | None = None, *, base: str = BASE
) -> Api:
    return Api(
        service="The API",
        base=base,
        scope="a scope",
        http=httpx2.Client(transport=httpx2.MockTransport(answer), verify=False),
        tokens=Tokens(FakeCredential(TENANT)),
        patience=Patience(sleep=waits.append if waits is not None else lambda _seconds: None),
    )


def listed(*names: str, following: str | None = None) -> httpx2.Response:
    link = {} if following is None else {"@odata.nextLink": following}
    return httpx2.Response(200, json={"value": [{"name": name} for name in names], **link})


def test_pages_are_followed_to_the_end() -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        page = request.url.params.get("page", "1")
        base = BASE if page == "1" else BASE.replace("api.example", "api.example:443")
        return listed(page, following=None if page == "3" else f"{base}/things?page={int(page) + 1}")

    assert [one["name"] for one in api(answer).pages("/things")] == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("base", "link"),
    [
        ("https://vault.example:443", "https://vault.example:443"),
        ("https://vault.example:443", "https://vault.example"),
        ("https://VAULT.example", "https://vault.example:443"),
        ("https://VAULT.example", "https://VAULT.example"),
        ("http://localhost:80", "http://localhost:80"),
    ],
)
def test_page_is_asked_for_at_its_own_address_however_the_base_is_written(base: str, link: str) -> None:
    asked: list[httpx2.URL] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.url)
        return listed("1", following=f"{link}/things?$skiptoken=a%2Bb" if len(asked) == 1 else None)

    assert len(list(api(answer, base=base).pages("/things"))) == 2
    assert asked == [httpx2.URL(f"{base}/things"), httpx2.URL(f"{base}/things?$skiptoken=a%2Bb")]


@pytest.mark.parametrize(
    "link",
    [
        "https://api.example:x/v1/things",
        "https://[/v1/things",
        "v1/things",
        "https://evil.example/v1/things",
        "http://api.example/v1/things",
        "https://api.example:444/v1",
        "https://me@api.example/v1/things",
    ],
)
def test_token_does_not_follow_a_list_to_another_place(link: str) -> None:
    asked: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(str(request.url))
        return listed("1", following=link)

    with pytest.raises(ApiError, match="another address"):
        list(api(answer).pages("/things"))
    assert asked == [f"{BASE}/things"]


def test_list_without_end_is_given_up() -> None:
    with pytest.raises(ApiError, match="more than 200 pages"):
        list(api(lambda _: listed("1", following=f"{BASE}/things")).pages("/things"))


@pytest.mark.parametrize("status", [408, 429, 502, 503, 504])
def test_passing_fault_is_waited_out(status: int) -> None:
    answers = [httpx2.Response(status), httpx2.Response(status, headers={"Retry-After": "7"}), httpx2.Response(200)]
    waits: list[float] = []
    assert api(lambda _: answers.pop(0), waits).request("GET", "/x").status == 200
    assert waits == [1.0, 7.0]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 500])
def test_other_refusals_are_not_repeated(status: int) -> None:
    asked: list[int] = []

    def answer(_: httpx2.Request) -> httpx2.Response:
        asked.append(status)
        return httpx2.Response(status)

    with pytest.raises(ApiError):
        api(answer).request("POST", "/x", body={})
    assert asked == [status]


def test_service_that_asks_for_too_long_a_wait_is_not_waited_for() -> None:
    waits: list[float] = []
    with pytest.raises(ApiError, match="Wait a few minutes"):
        api(lambda _: httpx2.Response(429, headers={"Retry-After": "3600"}), waits).request("GET", "/x")
    assert waits == []


def test_lost_connection_is_tried_again_and_then_said() -> None:
    waits: list[float] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused", request=request)

    with pytest.raises(UnreachableError, match=r"The API does not answer at api\.example"):
        api(answer, waits).request("GET", "/x")
    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"error": {"code": "Authorization_RequestDenied", "message": "m"}}, "Application Administrator"),
        (
            {"error": {"code": "Forbidden", "message": "m", "innererror": {"code": "ForbiddenByRbac"}}},
            "Secrets Officer",
        ),
        ({"code": "AuthorizationFailed", "message": "m"}, "Contributor"),
        ({"error": "invalid_request"}, "invalid_request"),
        (["strange"], "may not do this"),
        ("text", "may not do this"),
    ],
)
def test_refusal_says_what_to_do(body: object, says: str) -> None:
    with pytest.raises(ApiError) as caught:
        api(lambda _: httpx2.Response(403, json=body)).request("GET", "/x")
    assert says in str(caught.value)
    assert "GET /v1/x" in str(caught.value)
