"""Requests and invocations find each other through the real runtime's coordinator, or end in time without a trace."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import httpx2
import pytest
from azure_functions_runtime import http_v2, invocation_id_cv
from starlette.responses import PlainTextResponse, Response

from entra_mcp.functions.http_stream import AppResponse, ProxiedRequest, Request, RequestTracker, WebApp, WebServer

if TYPE_CHECKING:
    from collections.abc import Generator

    from starlette.types import ASGIApp, Receive, Scope, Send

PATIENCE = 0.2
HEADER = "x-ms-invocation-id"
runtime = cast("Any", http_v2)  # has no annotations
coordinator = runtime.http_coordinator


@pytest.fixture(autouse=True)
def nothing_left() -> Generator[None]:
    yield
    assert coordinator._context_references == {}


@pytest.fixture
def web_app() -> WebApp:
    assert runtime.HttpV2Registry.http_v2_enabled()
    app = WebApp(arrival_seconds=PATIENCE, answer_seconds=2 * PATIENCE)

    @app.route
    async def catch_all(request: Request) -> object:  # pyright: ignore[reportUnusedFunction] - the runtime's own, copied
        invocation_id = request.headers[HEADER]
        coordinator.set_http_request(invocation_id, request)
        answer: object = await coordinator.await_http_response_async(invocation_id)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return app


async def ask(app: ASGIApp, *ids: str, path: str = "/x") -> httpx2.Response:
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://worker") as client:
        return await client.get(path, headers=[(HEADER, value) for value in ids])


async def invoke(invocation_id: str, result: object, *, seconds: float = 0.0) -> None:
    """What the runtime does for an HTTP invocation."""
    try:
        request = await coordinator.get_http_request_async(invocation_id)
        await runtime.sync_http_request(request, SimpleNamespace(route_params={"path": "x"}))
        await asyncio.sleep(seconds)
        coordinator.set_http_response(invocation_id, result)
    except ValueError as error:
        coordinator.set_http_response(invocation_id, error)
        raise


@pytest.mark.parametrize("ids", [(), ("",), ("a", "b")])
async def test_request_without_exactly_one_invocation_id_is_refused_at_once(
    web_app: WebApp, ids: tuple[str, ...]
) -> None:
    began = time.monotonic()

    assert (await ask(web_app, *ids)).status_code == 400
    assert time.monotonic() - began < PATIENCE


@pytest.mark.parametrize("first", ["request", "invocation"])
async def test_request_and_invocation_meet_in_either_order(web_app: WebApp, first: str) -> None:
    result = AppResponse(PlainTextResponse("met"))
    steps = {"request": ask(web_app, "1"), "invocation": invoke("1", result)}
    tasks = {first: asyncio.create_task(steps.pop(first))}
    await asyncio.sleep(0.01)
    tasks |= {name: asyncio.create_task(step) for name, step in steps.items()}
    await asyncio.gather(*tasks.values())

    assert cast("httpx2.Response", tasks["request"].result()).text == "met"


async def test_application_sees_the_request_unchanged_and_logs_see_the_invocation(web_app: WebApp) -> None:
    seen: dict[str, object] = {}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.update(scope)
        seen["logged"] = invocation_id_cv.get()
        await PlainTextResponse("")(scope, receive, send)

    await asyncio.gather(ask(web_app, "7", path="/a%2Fb?c=d"), invoke("7", AppResponse(app)))

    assert (seen["raw_path"], seen["query_string"]) == (b"/a%2Fb", b"c=d")
    assert "path_params" not in seen
    assert seen["logged"] == "7"
    assert invocation_id_cv.get() is None


async def test_function_gets_its_route_parameters() -> None:
    request = Request({"type": "http", "headers": []})
    taken: list[bool] = []
    proxied = ProxiedRequest(request.scope, request.receive, on_taken=lambda: taken.append(True))
    RequestTracker.synchronizer.sync_route_params(proxied, {"path": "x"})

    assert proxied.path_params == {"path": "x"}
    assert "path_params" not in request.scope
    assert taken == [True]


async def test_request_whose_invocation_never_comes_is_answered(web_app: WebApp) -> None:
    began = time.monotonic()
    response = await ask(web_app, "1")

    assert response.status_code == 503
    assert response.headers["retry-after"] == "1"
    assert PATIENCE * 0.9 < time.monotonic() - began < PATIENCE + 2


async def test_invocation_whose_request_never_comes_is_ended(web_app: WebApp) -> None:
    sweeping = asyncio.create_task(web_app.invocations.expire())
    with pytest.raises(ValueError, match="No http request found"):
        await asyncio.wait_for(invoke("1", AppResponse(PlainTextResponse(""))), PATIENCE * 3 + 2)
    async with asyncio.timeout(2):
        while len(web_app.invocations):  # noqa: ASYNC110 - what is awaited has no event
            await asyncio.sleep(0.01)
    sweeping.cancel()


async def test_request_that_comes_after_its_invocation_was_ended_is_answered(web_app: WebApp) -> None:
    waiting = asyncio.create_task(invoke("1", Response()))
    await asyncio.sleep(0)
    web_app.invocations.sweep(now=0)
    web_app.invocations.sweep(now=PATIENCE)
    with pytest.raises(ValueError, match="No http request found"):
        await waiting

    assert (await ask(web_app, "1")).status_code == 502


async def test_function_that_takes_long_is_given_its_time(web_app: WebApp) -> None:
    response, _ = await asyncio.gather(
        ask(web_app, "1"), invoke("1", AppResponse(PlainTextResponse("late")), seconds=PATIENCE * 1.5)
    )

    assert response.text == "late"


async def test_function_that_takes_too_long_is_answered_for_and_can_still_end(web_app: WebApp) -> None:
    invoking = asyncio.create_task(invoke("1", AppResponse(PlainTextResponse("too late")), seconds=PATIENCE * 3))

    assert (await ask(web_app, "1")).status_code == 503
    await invoking  # the runtime would raise KeyError here if the entry were gone
    web_app.invocations.sweep(now=0)


@pytest.mark.parametrize("result", [RuntimeError("secret detail"), TimeoutError("secret detail"), "text", 42])
async def test_failed_function_is_answered_without_detail(web_app: WebApp, result: object) -> None:
    response, _ = await asyncio.gather(ask(web_app, "1"), invoke("1", result))

    assert response.status_code == 502
    assert "secret" not in response.text


async def test_function_that_returns_nothing_is_answered(web_app: WebApp) -> None:
    response, _ = await asyncio.gather(ask(web_app, "1"), invoke("1", None))

    assert response.status_code == 502


async def test_failed_application_is_answered_without_detail(web_app: WebApp) -> None:
    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("secret detail")

    response, _ = await asyncio.gather(ask(web_app, "1"), invoke("1", AppResponse(failing)))

    assert response.status_code == 500
    assert "secret" not in response.text


async def test_second_request_with_the_same_id_gets_no_answer_of_the_first(web_app: WebApp) -> None:
    first = asyncio.create_task(ask(web_app, "1"))
    await asyncio.sleep(0.02)
    second = await ask(web_app, "1")
    await invoke("1", AppResponse(PlainTextResponse("for the first")))

    assert second.status_code == 409
    assert (await first).text == "for the first"


async def test_cancelled_request_leaves_no_entry(web_app: WebApp) -> None:
    asking = asyncio.create_task(ask(web_app, "1"))
    await asyncio.sleep(0.02)
    asking.cancel()
    await asyncio.wait((asking,))


async def test_many_requests_at_once_get_their_own_answers(web_app: WebApp) -> None:
    numbers = [str(number) for number in range(100)]
    answers = await asyncio.gather(
        *(ask(web_app, number) for number in numbers),
        *(invoke(number, AppResponse(PlainTextResponse(number))) for number in reversed(numbers)),
    )

    assert [answer.text for answer in answers[:100] if answer is not None] == numbers


async def test_server_starts_what_wants_to_be_ready(monkeypatch: pytest.MonkeyPatch, web_app: WebApp) -> None:
    started = asyncio.Event()
    monkeypatch.setattr(WebServer, "_starters", [])
    WebServer.on_start(started.set)
    serving = asyncio.create_task(WebServer("127.0.0.1", 0, web_app).serve())

    await asyncio.wait_for(started.wait(), 5)
    serving.cancel()
    await asyncio.wait((serving,))
