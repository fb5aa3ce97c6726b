"""An error is answered 503 because of a dependency that failed, and of nothing else."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from entra_mcp.errors import StorageError, UpstreamUnavailableError
from entra_mcp.request import record_failure
from entra_mcp.web import time_limits
from entra_mcp.web.time_limits import SilenceLimit, lift_silence_limit
from tests.support.edge import edged

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from starlette.requests import Request


async def ask(endpoint: Callable[[Request], Awaitable[Response]]) -> httpx2.Response:
    app = SilenceLimit(Starlette(routes=[Route("/", endpoint)]))
    transport = httpx2.ASGITransport(app=edged(app), raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as http:
        return await http.get("/")


def answering(
    response: Response, *faults: StorageError | UpstreamUnavailableError
) -> Callable[..., Awaitable[Response]]:
    async def endpoint(_: Request) -> Response:
        for fault in faults:
            record_failure(fault)
        return response

    return endpoint


@pytest.mark.parametrize(
    "response",
    [
        JSONResponse({}, 401),
        JSONResponse({}, 400),
        JSONResponse({}, 500),
        JSONResponse({"jsonrpc": "2.0", "id": 1, "error": {"code": 0, "message": "x"}}),
        JSONResponse({"jsonrpc": "2.0", "id": 1, "result": {"isError": True}}),
        RedirectResponse("https://client.example/?error=server_error&state=x"),
    ],
    ids=["401", "400", "500", "error", "failed tool", "redirect"],
)
async def test_error_after_a_fault_becomes_503(response: Response) -> None:
    answer = await ask(answering(response, StorageError("down")))
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["error"] == "temporarily_unavailable"
    assert "www-authenticate" not in answer.headers


@pytest.mark.parametrize(
    "response",
    [
        JSONResponse({}, 200),
        JSONResponse({"jsonrpc": "2.0", "id": 1, "result": {"isError": False}}),
        RedirectResponse("https://client.example/?code=x"),
        RedirectResponse("https://client.example/?error=access_denied"),
    ],
    ids=["200", "result", "code", "refusal"],
)
async def test_answer_that_is_no_failure_passes_in_spite_of_a_fault(response: Response) -> None:
    assert (await ask(answering(response, StorageError("down")))).status_code == response.status_code


@pytest.mark.parametrize("status", [400, 401, 404, 503])
async def test_error_without_a_fault_keeps_its_status_and_its_code(status: int) -> None:
    answer = await ask(answering(JSONResponse({"error": "own"}, status)))
    assert (answer.status_code, answer.json()["error"]) == (status, "own")


async def test_dependency_error_that_nobody_caught_becomes_503() -> None:
    async def endpoint(_: Request) -> Response:
        raise StorageError("down")

    assert (await ask(endpoint)).status_code == 503


async def test_other_error_that_nobody_caught_stays_500() -> None:
    async def endpoint(_: Request) -> Response:
        raise ZeroDivisionError

    assert (await ask(endpoint)).status_code == 500


async def test_wait_that_entra_asks_for_is_passed_on() -> None:
    answer = await ask(answering(JSONResponse({}, 400), UpstreamUnavailableError("429", retry_after=17)))
    assert answer.headers["retry-after"] == "17"


async def test_fault_of_one_request_is_not_another_requests() -> None:
    await ask(answering(JSONResponse({}, 401), StorageError("down")))
    assert (await ask(answering(JSONResponse({}, 401)))).status_code == 401
    record_failure(StorageError("outside of any request"))
    assert (await ask(answering(JSONResponse({}, 401)))).status_code == 401


@pytest.fixture
def short_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_limits, "SILENCE_SECONDS", 0.05)


@pytest.mark.usefixtures("short_deadline")
async def test_answer_that_does_not_come_is_503() -> None:
    async def endpoint(_: Request) -> Response:
        await asyncio.Event().wait()
        raise AssertionError("nobody sets the event")

    assert (await ask(endpoint)).status_code == 503


@pytest.mark.usefixtures("short_deadline")
async def test_success_is_the_answer_however_late_it_comes() -> None:
    async def endpoint(_: Request) -> Response:
        lift_silence_limit()
        await asyncio.sleep(0.2)
        return JSONResponse({"done": True})

    assert (await ask(endpoint)).json() == {"done": True}


@pytest.mark.usefixtures("short_deadline")
async def test_success_is_told_from_a_task_of_the_request() -> None:
    async def elsewhere() -> None:
        lift_silence_limit()

    async def endpoint(_: Request) -> Response:
        await asyncio.create_task(elsewhere())
        await asyncio.sleep(0.2)
        return JSONResponse({"done": True})

    assert (await ask(endpoint)).json() == {"done": True}


@pytest.mark.usefixtures("short_deadline")
async def test_success_of_one_request_is_not_anothers() -> None:
    async def successful(_: Request) -> Response:
        lift_silence_limit()
        await asyncio.sleep(0.2)
        return JSONResponse({})

    async def silent(_: Request) -> Response:
        await asyncio.Event().wait()
        raise AssertionError("nobody sets the event")

    answers = await asyncio.gather(ask(successful), ask(silent))
    assert [answer.status_code for answer in answers] == [200, 503]
    lift_silence_limit()


@pytest.mark.usefixtures("short_deadline")
async def test_answer_that_has_begun_goes_on_beyond_the_deadline() -> None:
    async def parts() -> AsyncGenerator[str]:
        yield "a"
        await asyncio.sleep(0.2)
        yield "b"

    async def endpoint(_: Request) -> Response:
        return StreamingResponse(parts())

    assert (await ask(endpoint)).text == "ab"
