"""In GitHub Codespaces: people reach forwarded ports under other names, and the run gives those out."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import httpx2
import pytest

from local.check.shortcuts import Shortcuts
from local.config import LocalConfig, Ports, codespace_name

if TYPE_CHECKING:
    from collections.abc import Generator

    from tests.local.place import Place

CODESPACE = {
    "CODESPACES": "true",
    "CODESPACE_NAME": "shiny-fish-4x7",
    "GITHUB_CODESPACES_PORT_FORWARDING_DOMAIN": "app.github.dev",
}


class _Echo(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        told = f"{self.headers['Host']} {self.path} {self.headers['X-Own']} {body.decode()}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


@contextmanager
def echo() -> Generator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Echo)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_codespace_has_a_name_for_each_port() -> None:
    config = LocalConfig(ports=Ports(functions=7072), forwarded=codespace_name(CODESPACE))
    assert config.base_url == "https://shiny-fish-4x7-7072.app.github.dev"
    assert config.local_url == "http://localhost:7072"
    assert config.authorization_endpoint.startswith("https://shiny-fish-4x7-7080.app.github.dev/")
    assert config.shortcuts == {
        "https://shiny-fish-4x7-7072.app.github.dev": "http://localhost:7072",
        "https://shiny-fish-4x7-7080.app.github.dev": "http://localhost:7080",
    }


@pytest.mark.parametrize("missing", CODESPACE)
def test_anywhere_else_addresses_are_those_of_this_machine(missing: str) -> None:
    config = LocalConfig(forwarded=codespace_name({**CODESPACE, missing: ""}))
    assert config.base_url == config.local_url == "http://localhost:7071"
    assert config.shortcuts == {}


async def test_shortcut_takes_the_request_as_it_is_and_arrives_under_the_inner_name() -> None:
    outside = "https://shiny-fish-4x7-7071.app.github.dev"
    with echo() as port:
        transport = Shortcuts({outside: f"http://127.0.0.1:{port}"})
        async with httpx2.AsyncClient(transport=transport, trust_env=False) as http:
            answer = await http.post(f"{outside}/a/b?c=%2F", content=b"body", headers={"X-Own": "x"})
            other = await http.post(f"http://127.0.0.1:{port}/", content=b"", headers={"X-Own": "y"})
    assert answer.text == f"127.0.0.1:{port} /a/b?c=%2F x body"
    assert str(answer.request.url) == f"{outside}/a/b?c=%2F"
    assert other.text == f"127.0.0.1:{port} / y "


@pytest.mark.long
@pytest.mark.skipif(os.name != "posix", reason="ends its run with POSIX signals")
def test_run_in_a_codespace_signs_in_at_the_forwarded_addresses(place: Place) -> None:
    place.environment = CODESPACE
    code, output = place.finish("run", "--check")
    assert code == 0, output
    port, sign_in = place.ports["functions"], place.ports["sign_in"]
    assert f"the browser is at https://shiny-fish-4x7-{port}.app.github.dev/consent" in output
    assert f"sign-in https://shiny-fish-4x7-{sign_in}.app.github.dev" in output
    assert "All of it worked" in output
