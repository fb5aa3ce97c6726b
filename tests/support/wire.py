"""Listens to what this process sends and receives as a client, and remembers every secret that passed."""

from __future__ import annotations

import json
from base64 import b64encode, urlsafe_b64encode
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import httpx2
import pytest
from azure.core.pipeline.transport import AioHttpTransport

from tests.support.forms import Forms

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping

PUBLIC = frozenset(
    {
        *("action", "client_id", "client_name", "client_info", "code_challenge", "code_challenge_method", "error"),
        *("error_description", "expires_in", "expires_on", "ext_expires_in", "grant_type", "iss", "prompt"),
        *("not_before", "redirect_uri", "refresh_expires_in", "requested_token_use", "resource", "response_mode"),
        *("response_type", "scope", "session_state", "token_type", "token_type_hint", "client_assertion_type"),
        *("$select", "api-version", "correlation_id", "id", "kid", "timestamp", "trace_id"),
    }
)
"""What forms, URLs and answers of token endpoints hold that is no secret; everything else in them is one."""

COOKIE_ATTRIBUTES = frozenset({"expires", "Max-Age", "Path", "SameSite", "HttpOnly", "Secure"})

MIN_CHARACTERS = 8
"""Characters; what is shorter may be in any text by chance."""


class Wire:
    """The secrets, by their values, with what they are called."""

    def __init__(self) -> None:
        self.secrets: dict[str, str] = {}

    def add(self, name: str, value: str) -> None:
        """Remembers a secret, and the parts of it that would do for a part of the secret's use."""
        if name in PUBLIC:
            return
        parts = value.split(".")
        for part in (value, *(parts[1:] if len(parts) > 1 else ())):
            if len(part) >= MIN_CHARACTERS:
                self.secrets.setdefault(part, name)

    def add_form(self, pairs: Iterable[tuple[str, str]]) -> None:
        for name, value in pairs:
            self.add(name, value)

    def add_url(self, url: str) -> None:
        self.add_form(parse_qsl(urlsplit(url).query))

    def add_headers(self, headers: Iterable[tuple[str, str]]) -> None:
        for name, value in headers:
            match name.lower():
                case "authorization":
                    self.add("bearer", value.partition(" ")[2])
                case "cookie" | "set-cookie":
                    for part in value.split(";"):
                        key, _, content = part.strip().partition("=")
                        if key not in COOKIE_ATTRIBUTES:
                            self.add(f"cookie {key}", content.strip('"'))
                case "x-identity-header":
                    self.add(name, value)
                case _:
                    pass

    def add_answer(self, body: str) -> None:
        """The answer of a token endpoint, or of the vault."""
        content = cast("dict[str, Any]", json.loads(body))
        self.add_form((name, str(value)) for name, value in content.items() if isinstance(value, str))

    def in_text(self, text: str) -> dict[str, str]:
        """The secrets that are in the text, as they are or encoded, with what they are called."""
        return {value: name for value, name in self.secrets.items() if any(form in text for form in _forms(value))}


def _forms(value: str) -> set[str]:
    quoted = quote(value, safe="")
    # Without its end, which depends on what would follow.
    encoded = {coder(value.encode()).decode().rstrip("=")[:-1] for coder in (b64encode, urlsafe_b64encode)}
    return {value, quoted, quote(quoted, safe=""), unquote(value), repr(value)[1:-1], json.dumps(value)[1:-1], *encoded}


@contextmanager
def listening() -> Generator[Wire]:
    """Yields what hears every request of httpx2 and of Azure's SDK in this process, and its answer."""
    wire = Wire()
    send, azure_send = httpx2.AsyncClient.send, AioHttpTransport.send

    async def heard(client: httpx2.AsyncClient, request: httpx2.Request, **options: Any) -> httpx2.Response:  # noqa: ANN401 - httpx2's
        wire.add_url(str(request.url))
        wire.add_headers(request.headers.multi_items())
        if "urlencoded" in request.headers.get("content-type", ""):
            wire.add_form(parse_qsl((await request.aread()).decode()))
        response = await send(client, request, **options)
        wire.add_url(response.headers.get("location", ""))
        wire.add_headers(response.headers.multi_items())
        kind = response.headers.get("content-type", "")
        if kind.startswith("text/html"):
            await response.aread()
            wire.add_form(Forms(response.text).fields.items())
        elif request.url.path.endswith("/token") and kind.startswith("application/json"):
            await response.aread()
            wire.add_answer(response.text)
        return response

    async def azure_heard(transport: Any, request: Any, **options: Any) -> Any:  # noqa: ANN401 - Azure's SDK has two kinds of requests and answers
        wire.add_headers(request.headers.items())
        if "/oauth2/" in request.url:
            data = cast("Mapping[str, str]", request.data or request.content or {})
            wire.add_form((name, str(value)) for name, value in data.items())
        response = await azure_send(transport, request, **options)
        if "/token" in request.url or "/secrets/" in request.url:
            await (response.load_body() if hasattr(response, "load_body") else response.read())
            body = response.body() if hasattr(response, "body") else response.content
            if response.status_code == 200:
                wire.add_answer(body.decode())
        return response

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(httpx2.AsyncClient, "send", heard)
        patch.setattr(AioHttpTransport, "send", azure_heard)
        yield wire
