"""Requests and invocations find each other through the real runtime's coordinator, or end in time without a trace."""

from __future__ import annotations

import asyncio
import logging
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import httpx2
import pytest
from azure_functions_runtime import http_v2, invocation_id_cv
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse, Response

from entra_mcp.functions.http_stream import Request, RequestAbsent, WebApp, WebServer, answer
from entra_mcp.functions.invocations import SWEEPS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

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
    app = WebApp()

    @app.route
    async def catch_all(request: Request) -> object:  # pyright: ignore[reportUnusedFunction] - the runtime's own, copied
        invocation_id = request.headers[HEADER]
        coordinator.set_http_request(invocation_id, request)
        result: object = await coordinator.await_http_response_async(invocation_id)
        if isinstance(result, Exception):
            raise result
        return result

    return app


async def ask(app: ASGIApp, *ids: str, path: str = "/x") -> httpx2.Response:
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://worker") as client:
        return await client.get(path, headers=[(HEADER, value) for value in ids])


async def invoke(invocation_id: str, function: Callable[[Request], Awaitable[object]]) -> None:
    """What the runtime does for an HTTP invocation."""
    try:
        request = await coordinator.get_http_request_async(invocation_id)
        await runtime.sync_http_request(request, SimpleNamespace(route_params={"path": "x"}))
        coordinator.set_http_response(invocation_id, await function(request))
    except Exception as error:
        coordinator.set_http_response(invocation_id, error)
        raise


def answering(app: ASGIApp) -> Callable[[Request], Awaitable[object]]:
    return lambda request: answer(request, app)


def returning(result: object) -> Callable[[Request], Awaitable[object]]:
    async def function(_: Request) -> object:
        if isinstance(result, Exception):
            raise result
        return result

    return function


@pytest.mark.parametrize("ids", [(), ("",), ("a", "b")])
async def test_request_without_exactly_one_invocation_id_is_refused_at_once(
    web_app: WebApp, ids: tuple[str, ...]
) -> None:
    assert (await ask(web_app, *ids)).status_code == 400


@pytest.mark.parametrize("first", ["request", "invocation"])
async def test_request_and_invocation_meet_in_either_order(web_app: WebApp, first: str) -> None:
    steps = {"request": ask(web_app, "1"), "invocation": invoke("1", answering(PlainTextResponse("met")))}
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

    await asyncio.gather(ask(web_app, "7", path="/a%2Fb?c=d"), invoke("7", answering(app)))

    assert (seen["raw_path"], seen["query_string"]) == (b"/a%2Fb", b"c=d")
    assert "path_params" not in seen
    assert seen["logged"] == "7"
    assert invocation_id_cv.get() is None


async def test_function_gets_its_route_parameters(web_app: WebApp) -> None:
    seen: list[object] = []

    async def function(request: Request) -> Response:
        seen.append(request.path_params)
        return PlainTextResponse("")

    await asyncio.gather(ask(web_app, "1"), invoke("1", function))

    assert seen == [{"path": "x"}]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - what is awaited has no event
            await asyncio.sleep(0)


def sweep(web_app: WebApp, times: int = SWEEPS) -> None:
    for _ in range(times):
        web_app.invocations.sweep()


async def test_request_whose_invocation_never_comes_is_answered(web_app: WebApp) -> None:
    asking = asyncio.create_task(ask(web_app, "1"))
    await until(lambda: len(web_app.invocations) == 1)
    sweep(web_app, SWEEPS - 1)
    await asyncio.sleep(0.02)
    assert not asking.done()

    sweep(web_app, 1)
    assert (await asking).status_code == 503
    assert (await asking).headers["retry-after"] == "1"


async def test_invocation_whose_request_never_comes_is_ended_and_says_so(
    web_app: WebApp, caplog: pytest.LogCaptureFixture
) -> None:
    waiting = asyncio.create_task(invoke("1", answering(PlainTextResponse(""))))
    await until(lambda: len(web_app.invocations) == 1)
    with caplog.at_level(logging.INFO):
        sweep(web_app)
        with pytest.raises(RequestAbsent):
            await waiting
    sweep(web_app, 1)

    assert len(web_app.invocations) == 0
    assert "The request of this invocation did not come." in caplog.messages


async def test_late_halves_of_what_was_given_up_are_answered_at_once(web_app: WebApp) -> None:
    waiting = asyncio.create_task(invoke("1", returning(Response())))
    asking = asyncio.create_task(ask(web_app, "2"))
    await until(lambda: len(web_app.invocations) == 2)
    sweep(web_app)
    await asyncio.wait((waiting, asking))
    assert isinstance(waiting.exception(), RequestAbsent)

    assert (await ask(web_app, "1")).status_code == 503
    late = asyncio.create_task(invoke("2", returning(Response())))
    await until(lambda: len(web_app.invocations) == 2)
    sweep(web_app, 1)
    await asyncio.wait((late,))
    assert isinstance(late.exception(), RequestAbsent)
    sweep(web_app, 1)


async def test_three_hundred_invocations_without_a_request_leave_others_alone_and_end(web_app: WebApp) -> None:
    strangers = [asyncio.create_task(invoke(f"stranger-{n}", returning(Response()))) for n in range(300)]
    await until(lambda: len(web_app.invocations) == 300)
    response, _ = await asyncio.gather(ask(web_app, "1"), invoke("1", answering(PlainTextResponse("paid"))))
    sweep(web_app)
    await asyncio.wait(strangers)
    sweep(web_app, 1)

    assert response.text == "paid"
    assert len(web_app.invocations) == 0


async def test_server_sweeps(web_app: WebApp) -> None:
    quick = WebApp(arrival_seconds=0.05)
    sweeping = asyncio.create_task(quick.invocations.expire())
    with pytest.raises(RequestAbsent):
        await asyncio.wait_for(invoke("1", answering(PlainTextResponse(""))), 60)
    await until(lambda: len(quick.invocations) == 0 or sweeping.done())
    sweeping.cancel()


async def test_function_that_runs_is_given_its_time(web_app: WebApp) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        begun.set()
        await go_on.wait()
        await PlainTextResponse("late")(scope, receive, send)

    invoking = asyncio.create_task(invoke("1", answering(slow)))
    asking = asyncio.create_task(ask(web_app, "1"))
    await begun.wait()
    sweep(web_app, 2 * SWEEPS)
    go_on.set()
    await invoking

    assert (await asking).text == "late"


@pytest.mark.parametrize("result", [RuntimeError("secret detail"), TimeoutError("secret detail"), "text", 42, None])
async def test_failed_function_is_answered_without_detail(web_app: WebApp, result: object) -> None:
    response, _ = await asyncio.gather(ask(web_app, "1"), invoke("1", returning(result)), return_exceptions=True)

    assert isinstance(response, httpx2.Response)
    assert response.status_code == 502
    assert "secret" not in response.text


async def test_failed_application_is_answered_without_detail(web_app: WebApp) -> None:
    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("secret detail")

    response, _ = await asyncio.gather(ask(web_app, "1"), invoke("1", answering(failing)))

    assert response.status_code == 500
    assert "secret" not in response.text


async def test_application_runs_inside_its_invocation(web_app: WebApp) -> None:
    """The function returns when the answer is complete, and not before."""
    go_on = asyncio.Event()
    begun = asyncio.Event()

    async def streaming(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"first ", "more_body": True})
        begun.set()
        await go_on.wait()
        await send({"type": "http.response.body", "body": b"last", "more_body": False})

    invoking = asyncio.create_task(invoke("1", answering(streaming)))
    asking = asyncio.create_task(ask(web_app, "1"))
    await begun.wait()
    await asyncio.sleep(0.02)
    assert not invoking.done()
    go_on.set()
    await invoking

    assert (await asking).text == "first last"


async def test_application_that_fails_in_mid_answer_fails_its_invocation(
    web_app: WebApp, caplog: pytest.LogCaptureFixture
) -> None:
    sent: list[Message] = []

    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise RuntimeError("secret detail")

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [(HEADER.encode(), b"1")]}
    served, invoked = await asyncio.gather(
        web_app(scope, receive, send), invoke("1", answering(failing)), return_exceptions=True
    )

    assert served is None
    assert isinstance(invoked, RuntimeError), "the host counts it as failed"
    assert sent[-1]["more_body"], "half an answer is never completed"
    assert [record.message for record in caplog.records if record.levelno == logging.ERROR] == [
        "The application failed."
    ]


@pytest.mark.parametrize("raises", [True, False])
async def test_application_that_a_client_leaves_is_one_information_line(
    web_app: WebApp, caplog: pytest.LogCaptureFixture, raises: bool
) -> None:
    sent: list[Message] = []

    async def reading(scope: Scope, receive: Receive, send: Send) -> None:
        assert (await receive())["type"] == "http.disconnect"
        if raises:
            raise ClientDisconnect

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/", "headers": [(HEADER.encode(), b"1")]}
    with caplog.at_level(logging.INFO):
        await asyncio.gather(web_app(scope, receive, send), invoke("1", answering(reading)))

    assert sent == []
    assert {record.levelname for record in caplog.records} == {"INFO"}
    assert [message for message in caplog.messages if "The client left" in message] == caplog.messages


async def test_application_that_does_not_answer_is_answered_for(web_app: WebApp) -> None:
    async def silent(scope: Scope, receive: Receive, send: Send) -> None:
        return

    response, _ = await asyncio.gather(ask(web_app, "1"), invoke("1", answering(silent)))

    assert response.status_code == 500


async def test_only_the_request_of_a_function_can_be_answered() -> None:
    with pytest.raises(TypeError, match="not Request"):
        await answer(Request({"type": "http", "headers": []}), PlainTextResponse(""))


async def test_second_request_with_the_same_id_gets_no_answer_of_the_first(web_app: WebApp) -> None:
    first = asyncio.create_task(ask(web_app, "1"))
    await asyncio.sleep(0.02)
    second = await ask(web_app, "1")
    await invoke("1", answering(PlainTextResponse("for the first")))

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
        *(invoke(number, answering(PlainTextResponse(number))) for number in reversed(numbers)),
    )

    assert [answer.text for answer in answers[:100] if answer is not None] == numbers


async def test_server_starts_what_wants_to_be_ready(monkeypatch: pytest.MonkeyPatch, web_app: WebApp) -> None:
    started = asyncio.Event()
    monkeypatch.setattr(WebServer, "_starters", [])
    WebServer.on_start(started.set)
    serving = asyncio.create_task(WebServer("127.0.0.1", 0, web_app).serve())

    await asyncio.wait_for(started.wait(), 60)
    serving.cancel()
    await asyncio.wait((serving,))
