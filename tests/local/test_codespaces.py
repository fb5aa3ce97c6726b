"""In GitHub Codespaces: people reach forwarded ports under other names, and the run gives those out."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from local.check.shortcuts import Shortcuts
from local.config import LocalConfig, Ports, codespace_name
from tests.support.serving import serving

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from tests.local.place import Place

CODESPACE = {
    "CODESPACES": "true",
    "CODESPACE_NAME": "shiny-fish-4x7",
    "GITHUB_CODESPACES_PORT_FORWARDING_DOMAIN": "app.github.dev",
}


async def echo(request: Request) -> Response:
    url, body = request.url, (await request.body()).decode()
    return PlainTextResponse(f"{request.headers['host']} {url.path}?{url.query} {request.headers['x-own']} {body}")


def test_codespace_has_a_name_for_each_port() -> None:
    config = LocalConfig(ports=Ports(functions=7072), forwarded=codespace_name(CODESPACE))
    assert config.base_url == "https://shiny-fish-4x7-7072.app.github.dev"
    assert config.local_url == "http://localhost:7072"
    assert config.sign_in_url == "https://shiny-fish-4x7-7080.app.github.dev"
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
    async with serving(Starlette(routes=[Route("/{path:path}", echo, methods=["POST"])])) as port:
        transport = Shortcuts({outside: f"http://127.0.0.1:{port}"})
        async with httpx2.AsyncClient(transport=transport, trust_env=False) as http:
            answer = await http.post(f"{outside}/a/b?c=%2F", content=b"body", headers={"X-Own": "x"})
            other = await http.post(f"http://127.0.0.1:{port}/", content=b"", headers={"X-Own": "y"})
    assert answer.text == f"127.0.0.1:{port} /a/b?c=%2F x body"
    assert str(answer.request.url) == f"{outside}/a/b?c=%2F"
    assert other.text == f"127.0.0.1:{port} /? y "


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
