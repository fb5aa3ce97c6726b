"""Ports and servers: loopback only, taken ports named, several servers ended by one signal."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import pytest
from starlette.responses import PlainTextResponse

from local.config import REPOSITORY
from local.loopback.host_header import LoopbackHost
from local.loopback.serve import PortTakenError, announce, bind, holder_of
from local.loopback.tls import ensure_tls

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import Receive, Scope, Send

    from local.loopback.serve import Binding


@pytest.fixture
def binding() -> Iterator[Binding]:
    bound = bind(port=0, purpose="a test", flag="--port")
    yield bound
    bound.close()


async def _hello(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("hello")(scope, receive, send)


def test_free_port_is_bound_on_loopback_alone(binding: Binding) -> None:
    assert binding.port > 0
    assert {one.getsockname()[1] for one in binding.sockets} == {binding.port}
    assert {one.getsockname()[0] for one in binding.sockets} <= {"127.0.0.1", "::1"}


def test_taken_port_names_purpose_holder_and_flag(binding: Binding) -> None:
    with pytest.raises(PortTakenError) as caught:
        bind(port=binding.port, purpose="sign-in page", flag="--sign-in-port")
    message = str(caught.value)
    assert caught.value.exit_code == 3
    assert f"Port {binding.port} (sign-in page)" in message
    assert f"(pid {os.getpid()}, in {Path.cwd()})" in message
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


TWO_SERVERS = """
import asyncio, signal, sys
from pathlib import Path
from starlette.responses import PlainTextResponse
from local.loopback.serve import Listener, announce, bind, serve
from local.loopback.tls import ensure_tls

hello = PlainTextResponse("hello")
plain, secure = (bind(port=0, purpose="a test", flag="--port") for _ in range(2))
tls = ensure_tls(Path(sys.argv[1])).server
before = signal.getsignal(signal.SIGTERM)
code = asyncio.run(serve(
    [Listener(binding=plain, app=hello), Listener(binding=secure, app=hello, tls=tls)],
    ready=lambda: announce(plain=f"http://localhost:{plain.port}", secure=f"https://localhost:{secure.port}"),
))
assert signal.getsignal(signal.SIGTERM) == before
sys.exit(code)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_ends_every_server(tmp_path: Path, number: signal.Signals) -> None:
    # A process of its own: event streams of the whole process end when a uvicorn in it takes a signal.
    trust = ssl.create_default_context(cafile=str(ensure_tls(tmp_path).bundle))
    program = [sys.executable, "-c", TWO_SERVERS, str(tmp_path)]
    with subprocess.Popen(program, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            with httpx2.Client(verify=trust, trust_env=False, timeout=60) as client:
                for url in json.loads(process.stdout.readline())["ready"].values():
                    answer = client.get(url)
                    assert answer.text == "hello"
                    assert "server" not in answer.headers
                process.send_signal(number)
                assert process.wait(60) == 0
        finally:
            process.kill()


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
        ("localhost.evil.example", 421),
        ("[", 421),
        ("[::1", 421),
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
