"""Ports and servers: loopback only, taken ports named, several servers ended by one signal."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import ssl
from typing import TYPE_CHECKING

import httpx2
import pytest
from starlette.responses import PlainTextResponse

from local.loopback.host_header import LoopbackHost
from local.loopback.serve import Listener, NotLoopbackError, PortTakenError, announce, bind, holder_of, serve
from local.loopback.tls import ensure_tls

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from starlette.types import Receive, Scope, Send

    from local.loopback.serve import Binding


@pytest.fixture
def binding() -> Iterator[Binding]:
    bound = bind(port=0, purpose="a test", flag="--port")
    yield bound
    bound.close()


async def _hello(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("hello")(scope, receive, send)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.0.0.2"])
def test_loopback_host_is_bound_to_a_free_port(host: str) -> None:
    bound = bind(port=0, purpose="a test", flag="--port", host=host)
    try:
        assert bound.port > 0
        assert {one.getsockname()[1] for one in bound.sockets} == {bound.port}
        assert all(one.getsockname()[0] in ("127.0.0.1", "127.0.0.2", "::1") for one in bound.sockets)
    finally:
        bound.close()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com", "localhost.example.com", ""])  # noqa: S104 the hosts to refuse
def test_other_host_is_refused(host: str) -> None:
    with pytest.raises(NotLoopbackError) as caught:
        bind(port=0, purpose="a test", flag="--port", host=host)
    assert caught.value.exit_code == 2


def test_taken_port_names_purpose_holder_and_flag(binding: Binding) -> None:
    with pytest.raises(PortTakenError) as caught:
        bind(port=binding.port, purpose="sign-in page", flag="--sign-in-port")
    message = str(caught.value)
    assert caught.value.exit_code == 3
    assert f"Port {binding.port} (sign-in page)" in message
    assert f"(pid {os.getpid()})" in message
    assert "--sign-in-port" in message


def test_port_taken_on_one_loopback_address_alone_is_taken(binding: Binding) -> None:
    if len(binding.sockets) == 1:
        pytest.skip("this machine has no IPv6 loopback")
    binding.sockets[0].close()
    with pytest.raises(PortTakenError):
        bind(port=binding.port, purpose="a test", flag="--port")


def test_connections_do_not_wait_for_acknowledgements(binding: Binding) -> None:
    # asyncio sets TCP_NODELAY on what such a socket accepts, and on nothing else.
    assert {bound.proto for bound in binding.sockets} == {socket.IPPROTO_TCP}


def test_port_is_free_again_after_close(binding: Binding) -> None:
    binding.close()
    again = bind(port=binding.port, purpose="a test", flag="--port")
    again.close()
    assert again.port == binding.port


def test_free_port_has_no_holder() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        assert holder_of(probe.getsockname()[1]) is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_one_signal_ends_every_server(tmp_path: Path, number: signal.Signals) -> None:
    files = ensure_tls(tmp_path)
    trust = ssl.create_default_context(cafile=str(files.bundle))
    plain = bind(port=0, purpose="a test", flag="--port")
    secure = bind(port=0, purpose="a test", flag="--port")
    before = signal.getsignal(number)
    ready = asyncio.Event()
    serving = asyncio.create_task(
        serve(
            [Listener(binding=plain, app=_hello), Listener(binding=secure, app=_hello, tls=files.server)],
            ready=ready.set,
        )
    )
    await asyncio.wait_for(ready.wait(), 10)
    async with httpx2.AsyncClient(verify=trust, trust_env=False) as client:
        for url in (f"http://localhost:{plain.port}", f"https://localhost:{secure.port}"):
            answer = await client.get(url)
            assert answer.text == "hello"
            assert "server" not in answer.headers
        os.kill(os.getpid(), number)
        assert await asyncio.wait_for(serving, 10) == 0
    assert signal.getsignal(number) == before


def test_announcement_is_one_json_line(capsys: pytest.CaptureFixture[str]) -> None:
    announce(entra="https://127.0.0.1:1", sign_in="http://localhost:2")
    assert capsys.readouterr().out == '{"ready": {"entra": "https://127.0.0.1:1", "sign_in": "http://localhost:2"}}\n'


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("localhost:7080", 200),
        ("127.0.0.1:7443", 200),
        ("[::1]:7443", 200),
        ("", 421),
        ("localhost:", 421),
        ("localhost:80:80", 421),
        ("localhost@evil.example", 421),
        ("evil.example", 421),
        ("evil.example:7080", 421),
        ("127.0.0.1.evil.example", 421),
    ],
)
async def test_request_for_another_host_is_misdirected(host: str, status: int) -> None:
    transport = httpx2.ASGITransport(app=LoopbackHost(_hello))
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
        assert (await client.get("/", headers={"Host": host})).status_code == status
