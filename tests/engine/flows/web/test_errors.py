"""Every error names the correlation id that its log line has, and nothing of what caused it."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

import httpx2
import pytest
from fastmcp.utilities.asgi_transport import StreamingASGITransport

from entra_mcp.app import startup_failed
from entra_mcp.auth.provider import EntraProvider
from entra_mcp.errors import VaultError
from tests.support.mcp import tool_call

if TYPE_CHECKING:
    from tests.support.oauth import OAuthClient

pytestmark = pytest.mark.asyncio(loop_scope="package")

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
HEX = re.compile(r"[0-9a-f]{32}")

ERRORS = [
    ("GET", "/nothing"),
    ("DELETE", "/register"),
    ("POST", "/register"),
    ("POST", "/token"),
    ("GET", "/authorize?client_id=x"),
    ("POST", "/mcp"),
]


@pytest.mark.parametrize(("method", "path"), ERRORS)
async def test_error_is_json_that_names_the_correlation_id_of_the_log(
    http: httpx2.AsyncClient, caplog: pytest.LogCaptureFixture, method: str, path: str
) -> None:
    with caplog.at_level(logging.INFO):
        response = await http.request(method, path)
    assert response.is_error
    assert response.json()["error"]
    correlation_id = response.json()["correlation_id"]
    assert HEX.fullmatch(correlation_id)
    assert response.headers["x-correlation-id"] == correlation_id
    lines = [record.getMessage() for record in caplog.records if record.name == "entra_mcp.web.edge"]
    (line,) = [line for line in lines if correlation_id in line]
    assert line.startswith(f"{method} {path.partition('?')[0]} answered {response.status_code} to 127.0.0.1")


async def test_requests_have_ids_of_their_own(http: httpx2.AsyncClient) -> None:
    ids = {(await http.get("/nothing")).headers["x-correlation-id"] for _ in range(3)}
    assert len(ids) == 3


async def test_trace_id_of_the_functions_host_is_taken_over(http: httpx2.AsyncClient) -> None:
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    response = await http.get("/nothing", headers={"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"})
    assert response.json()["correlation_id"] == response.headers["x-correlation-id"] == trace_id


@pytest.mark.parametrize(
    "header",
    [
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-<script>alert(1)</script>-00f067aa0ba902b7-01",
        "",
    ],
)
async def test_trace_id_that_is_none_is_replaced(http: httpx2.AsyncClient, header: str) -> None:
    made = (await http.get("/nothing", headers={"traceparent": header})).headers["x-correlation-id"]
    assert HEX.fullmatch(made)
    assert made not in header.lower()


async def test_path_cannot_write_log_lines(http: httpx2.AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        await http.get("/x%0AFORGED%1b[2J" + "y" * 1000)
    (line,) = [message for message in caplog.messages if "FORGED" in message]
    assert "\n" not in line
    assert "\x1b" not in line
    assert len(line) < 400


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/mcp",
        "/authorize?client_id=unknown&response_type=code&code_challenge=x",
        "/consent?txn_id=unknown",
        "/auth/callback?code=x&state=unknown",
        "/auth/callback?error=x&error_description=AADSTS50011:+the+redirect+URI&state=unknown",
    ],
)
async def test_browser_gets_a_page_with_the_reference(http: httpx2.AsyncClient, path: str) -> None:
    response = await http.get(path, headers=BROWSER)
    assert response.is_error
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert "<h1>" in response.text
    assert f"<code>{response.headers['x-correlation-id']}</code>" in response.text
    assert "Test server" in response.text
    assert int(response.headers["content-length"]) == len(response.content)


async def test_words_of_a_link_are_not_on_the_page(http: httpx2.AsyncClient) -> None:
    query = "error=access_denied&error_description=Call+%2B1-555-0100+to+unlock&state=unknown"
    for headers in (BROWSER, {}):
        page = await http.get(f"/auth/callback?{query}", headers=headers)
        assert page.status_code == 400
        assert "unlock" not in page.text
        assert "access_denied" not in page.text


@pytest.mark.parametrize("headers", [BROWSER, {}])
async def test_text_of_an_exception_is_in_the_log_alone(
    client: OAuthClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, headers: dict[str, str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("AADSTS7000215 hunter2")

    await client.register()
    monkeypatch.setattr(EntraProvider, "_show_consent_page", fail)
    location = (await client.authorize()).headers["location"]
    response = await client.http.get(location, headers=headers)
    assert response.status_code == 500
    assert "hunter2" not in response.text
    assert "AADSTS" not in response.text
    correlation_id = response.headers["x-correlation-id"]
    assert correlation_id in response.text
    (record,) = [record for record in caplog.records if f"failed, correlation id {correlation_id}" in record.message]
    assert record.exc_info is not None
    assert "hunter2" in str(record.exc_info[1])


async def test_token_exchange_that_entra_refuses_shows_nothing_of_it(client: OAuthClient) -> None:
    await client.register()
    upstream = await client.consent(await client.consent_page())
    state = httpx2.URL(upstream.headers["location"]).params["state"]
    answer = await client.entra_return({"code": "not-a-code", "state": state})
    shown = answer.text + answer.headers.get("location", "")
    assert "code=" not in shown
    assert "AADSTS" not in shown
    assert "invalid_grant" not in shown


async def test_message_of_mcp_stays_as_mcp_has_it(client: OAuthClient) -> None:
    call = tool_call("add", {"a": 1, "b": 1}, token=(await client.sign_in())["access_token"])
    response = await client.http.post("/mcp", headers=call["headers"] | {"Accept": "text/html"}, json=call["json"])
    assert response.is_error
    assert response.json()["jsonrpc"] == "2.0"
    assert "correlation_id" not in response.json()
    assert HEX.fullmatch(response.headers["x-correlation-id"])


async def test_head_of_an_error_has_no_body(http: httpx2.AsyncClient) -> None:
    response = await http.head("/nothing")
    assert response.status_code == 404
    assert HEX.fullmatch(response.headers["x-correlation-id"])


@pytest.mark.parametrize("headers", [BROWSER, {}])
async def test_failed_start_is_answered_like_any_error(headers: dict[str, str]) -> None:
    transport = StreamingASGITransport(startup_failed(VaultError("hunter2")))
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as http:
        response = await http.get("/authorize", headers=headers)
    assert response.status_code == 503
    assert response.headers["retry-after"] == "5"
    assert response.headers["x-frame-options"] == "DENY"
    assert response.headers["x-correlation-id"] in response.text
    assert "hunter2" not in response.text


@pytest.mark.parametrize("path", ["/token", "/revoke", "/register"])
async def test_error_of_what_no_person_opens_is_json_though_the_program_lists_html(
    http: httpx2.AsyncClient, path: str
) -> None:
    # As Java's HttpURLConnection does.
    answer = await http.post(path, json={"x": 1}, headers={"accept": "text/html, image/gif, *; q=.2, */*; q=.2"})
    assert answer.status_code in {400, 401}
    assert answer.json()["error"].startswith("invalid_")


@pytest.mark.parametrize("path", ["/token", "/revoke"])
@pytest.mark.parametrize(
    ("content_type", "body"),
    [("multipart/form-data", b""), ("application/x-www-form-urlencoded", b"a=1&" * 5000)],
    ids=["no boundary", "too many fields"],
)
async def test_form_that_cannot_be_read_is_an_error_of_oauth(
    http: httpx2.AsyncClient, path: str, content_type: str, body: bytes
) -> None:
    answer = await http.post(path, content=body, headers={"content-type": content_type})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
