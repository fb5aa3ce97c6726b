"""The way of a request through host, runtime and extension changes nothing but what a proxy must change."""

from __future__ import annotations

import asyncio
import re
import secrets
import socket
import time
from typing import TYPE_CHECKING

import httpx2
import pytest
from fastmcp import Client

from local.loopback.serve import has_ipv6_loopback
from tests.engine.functions.apps.mcp_app.routes import COOKIES
from tests.support.processes import eventually

if TYPE_CHECKING:
    from tests.engine.functions.harness import RunningHost


def exchange(host: RunningHost, request: bytes) -> bytes:
    """Raw bytes in, raw bytes out, so that no client tidies anything up."""
    with socket.create_connection(("127.0.0.1", host.port), timeout=60) as sock:
        sock.sendall(request)
        answer = b""
        while piece := sock.recv(65536):
            answer += piece
    return answer


def echo(host: RunningHost, **headers: str) -> dict[str, list[str]]:
    response = host.get("/echo/x", headers={k.replace("_", "-"): v for k, v in headers.items()})
    seen: dict[str, list[str]] = {}
    for name, value in response.json()["headers"]:
        seen.setdefault(name, []).append(value)
    return seen


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/echo/a%2Fb", ""),
        ("/echo/a%2fb", "redirect=%2Fx%20y+z&a=1&a=2"),
        ("/echo/caf%C3%A9//double/", "=&&"),
        ("/echo/%7Euser;v=1", "code=ab/cd=="),
    ],
)
def test_path_and_query_arrive_byte_for_byte(host: RunningHost, path: str, query: str) -> None:
    target = f"{path}?{query}" if query else path
    answer = exchange(host, f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())

    assert f'"raw_path":"{path}"'.encode() in answer
    assert f'"query":"{query}"'.encode() in answer


def test_function_route_parameters_stay_invisible_to_the_application(host: RunningHost) -> None:
    assert host.get("/echo/a/b").json()["params"] == {"rest": "a/b"}


def test_cookies_come_back_byte_for_byte(host: RunningHost) -> None:
    sent = '__Host-a=x+/=%3D==; b="quoted value"; c=1; c=2'
    answer = exchange(
        host, f"GET /cookies HTTP/1.1\r\nHost: localhost\r\nCookie: {sent}\r\nConnection: close\r\n\r\n".encode()
    )
    head, _, body = answer.partition(b"\r\n\r\n")
    cookies = [line[12:].decode() for line in head.split(b"\r\n") if line.lower().startswith(b"set-cookie: ")]

    assert tuple(cookies) == COOKIES
    assert body.decode() == sent


def test_duplicate_headers_are_kept_in_both_directions(host: RunningHost) -> None:
    answer = exchange(
        host,
        b"GET /echo/x HTTP/1.1\r\nHost: localhost\r\nX-Same: 1\r\nx-same: 2\r\nConnection: close\r\n\r\n",
    )
    twice = host.get("/cookies").headers.get_list("x-twice")

    assert b'["x-same","1"],["x-same","2"]' in answer
    assert twice == ["1", "2"]


def test_exactly_one_date_header_is_sent(host: RunningHost) -> None:
    response = host.get("/echo/x")

    assert len(response.headers.get_list("date")) == 1
    assert "server" not in response.headers


def test_chunked_body_without_length_arrives(host: RunningHost) -> None:
    def pieces() -> list[bytes]:
        return [b"one,", b"two,", b"three"]

    assert host.post("/body", content=iter(pieces())).content == b"one,two,three"


def test_five_megabytes_arrive_in_both_directions(host: RunningHost) -> None:
    body = secrets.token_bytes(5 * 1024 * 1024)

    assert host.post("/body", content=body, timeout=30).content == body


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_every_method_reaches_the_function(host: RunningHost, method: str) -> None:
    path = "/healthz" if method == "HEAD" else "/echo/x"
    response = host.request(method, path)

    assert response.status_code == 200
    assert method == "HEAD" or response.json()["method"] == method


@pytest.mark.parametrize(
    "name",
    [
        "x-ms-invocation-id",
        "X-MS-Client-Principal",
        "x-ms-client-principal-id",
        "x-original-url",
        "X-Rewrite-URL",
        "x-arr-ssl",
        "x-appservice-proto",
        "client-ip",
        "disguised-host",
    ],
)
def test_internal_headers_from_outside_never_arrive(host: RunningHost, name: str) -> None:
    values = [value for values in echo(host, **{name: "forged"}).values() for value in values]

    assert "forged" not in values


def test_hop_by_hop_headers_end_at_the_host(host: RunningHost) -> None:
    seen = echo(host, connection="close, x-private", x_private="1", te="trailers", keep_alive="timeout=5", x_kept="1")

    assert {"connection", "x-private", "te", "keep-alive"}.isdisjoint(seen)
    assert seen["x-kept"] == ["1"]


def test_forwarded_headers_replace_those_of_the_client(host: RunningHost) -> None:
    seen = echo(host, x_forwarded_for="203.0.113.7", x_forwarded_host="evil.example", x_forwarded_proto="https")

    assert seen["x-forwarded-for"] == ["127.0.0.1"]
    assert seen["x-forwarded-host"] == [f"localhost:{host.port}"]
    assert seen["host"] == ["127.0.0.1"]
    assert seen["x-forwarded-proto"] == ["http"]


def test_request_becomes_part_of_the_trace_that_the_client_names(host: RunningHost) -> None:
    (seen,) = echo(host, traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00")["traceparent"]

    assert re.fullmatch("00-4bf92f3577b34da6a3ce929d0e0e4736-[0-9a-f]{16}-00", seen)
    assert "00f067aa0ba902b7" not in seen, "the host's own span comes in between"


@pytest.mark.parametrize(
    "headers", [{}, {"traceparent": "nonsense"}, {"traceparent": f"00-{'0' * 32}-00f067aa0ba902b7-01"}], ids=str
)
def test_request_without_a_trace_begins_one(host: RunningHost, headers: dict[str, str]) -> None:
    first, second = (echo(host, **headers)["traceparent"] for _ in range(2))

    assert re.fullmatch("00-(?!0{32})[0-9a-f]{32}-[0-9a-f]{16}-01", first[0])
    assert len(first) == 1
    assert first != second


def test_large_answer_arrives_whole(host: RunningHost) -> None:
    assert len(host.get("/three-megabytes").content) == 48 * 65536


def test_answer_arrives_while_it_is_made(host: RunningHost) -> None:
    with httpx2.stream("GET", f"{host.url}/endless", timeout=30) as answer:
        assert next(answer.iter_raw())


def test_answer_waits_for_a_client_that_does_not_read(host: RunningHost) -> None:
    before = host.diagnostics()["sent"]
    with socket.create_connection(("127.0.0.1", host.port), timeout=60) as sock:
        sock.sendall(b"GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n")
        time.sleep(1.5)
        held = host.diagnostics()["sent"]
        time.sleep(0.5)
        still_held = host.diagnostics()["sent"]

    assert before < held == still_held
    assert held - before < 32 * 1024 * 1024  # the kernel's buffers, twice, and little more


@pytest.mark.parametrize(
    ("sent", "arrives"),
    [
        ("/echo/a/../b/./c", "/echo/b/c"),
        ("/echo/a/%2e%2E/b", "/echo/b"),
        ("/../../echo/x", "/echo/x"),
        ("/echo/a/..", "/echo/"),
    ],
)
def test_dot_segments_are_removed(host: RunningHost, sent: str, arrives: str) -> None:
    answer = exchange(host, f"GET {sent} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())

    assert f'"raw_path":"{arrives}"'.encode() in answer


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET //echo/x HTTP/1.1\r\nHost: localhost", 404),
        (b"GET /echo/%00 HTTP/1.1\r\nHost: localhost", 400),
        (b"CONNECT localhost:443 HTTP/1.1\r\nHost: localhost:443", 500),
        (b"GET localhost:443 HTTP/1.1\r\nHost: localhost:443", 400),
        (b"GET /echo/x HTTP/1.1\r\nHost:", 500),
        (b"GET /echo/x HTTP/1.1\r\nHost: localhost\r\nX-A: 1\r\n 2", 400),
        (b"GET /echo/x HTTP/1.1\r\nHost: localhost\r\nX-A: \xff", 400),
        (b"GET /echo/x HTTP/1.1\r\nHost: localhost\r\nX-A: \xc3\xa9", 500),
        (b"GET /echo/x HTTP/1.2\r\nHost: localhost", 505),
        (b"GET /echo/%b HTTP/1.1\r\nHost: localhost" % (b"x" * 8200), 414),
        (b"GET /echo/x HTTP/1.1\r\nHost: localhost\r\nX-A: %b" % (b"x" * 33000), 431),
        (b"GET /echo/x HTTP/1.1\r\nHost: localhost" + b"\r\nX-A: 1" * 101, 431),
        (b"GET /runtime/webhooks/x HTTP/1.1\r\nHost: localhost", 401),
        (b"GET /admin/host/unknown HTTP/1.1\r\nHost: localhost", 404),
    ],
    ids=lambda value: value[:60].decode("latin-1") if isinstance(value, bytes) else str(value),
)
def test_host_refuses_what_the_real_one_refuses(host: RunningHost, head: bytes, status: int) -> None:
    answer = exchange(host, head + b"\r\nConnection: close\r\n\r\n")

    assert int(answer.split()[1]) == status


@pytest.mark.parametrize("path", ["/admin", "/admin/x", "/runtime/x", "/administrator"])
def test_other_paths_that_begin_like_the_host_s_are_the_app_s(host: RunningHost, path: str) -> None:
    answer = host.get(path)

    assert answer.status_code == 404
    assert answer.text == "Not Found", "Starlette's, where the host's own is empty"


async def test_answer_that_closes_over_an_unread_body_is_an_empty_500(host: RunningHost) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", host.port)
    writer.write(
        b"POST /refuse-early HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000000\r\n\r\nonly the first bytes"
    )
    status = await asyncio.wait_for(reader.readline(), 60)
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
    writer.close()
    await writer.wait_closed()

    assert status.startswith(b"HTTP/1.1 500")
    assert b"content-length: 0" in head.lower()


async def test_three_hundred_requests_that_cannot_be_forwarded_keep_nobody_waiting(host: RunningHost) -> None:
    """Each begins an invocation whose request never comes, as any stranger can have the real host do."""
    unsendable = "GET /echo/x HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer é\r\nConnection: close\r\n\r\n"

    async def stranger() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", host.port)
        writer.write(unsendable.encode())
        status = await reader.readline()
        writer.close()
        return status

    strangers = [asyncio.create_task(stranger()) for _ in range(300)]
    await asyncio.sleep(0.2)
    async with Client(f"{host.url}/mcp") as client:
        results = [await client.call_tool("sleep_quietly", {"seconds": 0})]
        waiting = sum(not each.done() for each in strangers)
        results += [await client.call_tool("sleep_quietly", {"seconds": 0}) for _ in range(19)]
    statuses = {status.split()[1] for status in await asyncio.gather(*strangers)}

    assert {result.data for result in results} == {"rested"}
    assert waiting, "the first call is answered while strangers still wait"
    assert statuses == {b"500"}
    # What is left in the table goes with the next sweep.
    assert await asyncio.to_thread(eventually, lambda: host.diagnostics()["open"] == 1)


async def test_headers_of_a_silent_answer_come_with_its_first_bytes(host: RunningHost) -> None:
    async with httpx2.AsyncClient(timeout=60) as client:
        asking = asyncio.create_task(client.get(f"{host.url}/silent"))
        await asyncio.sleep(0.5)
        with pytest.raises(httpx2.ReadTimeout):
            await client.get(f"{host.url}/silent", timeout=0.5)
        asking.cancel()
        await asyncio.wait((asking,))


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_every_address_of_localhost_answers(host: RunningHost, address: str) -> None:
    try:
        connection = socket.create_connection((address, host.port), timeout=60)
    except OSError:
        if address == "::1" and not has_ipv6_loopback():
            pytest.skip("this machine has no ::1")
        raise
    connection.close()
