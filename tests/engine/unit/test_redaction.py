"""What is taken out of log records, and what stays readable."""

from __future__ import annotations

import io
import logging
import secrets
from typing import TYPE_CHECKING

import pytest

from entra_mcp.redaction import REDACTED, UNREADABLE, RedactingFactory, install_redaction, redact

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = "hunter2-hunter2-hunter2"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJzb21lYm9keSJ9.c2lnbmF0dXJl"
OPAQUE = "Zk3vQ9x_L-4tWmB7sYpR2cDfHjKlMnUoEa5gIi8w0S1"


@pytest.mark.parametrize(
    "text",
    [
        "GET /auth/callback?code={}&x=1 HTTP/1.1",
        "http://localhost:1/callback?iss=x&state={}",
        "/consent?next=https%3A%2F%2Fx%2F%3Fcode%3D{}%26iss%3Dx",
        "code={}",
        "grant_type=refresh_token&refresh_token={}&client_id=x",
        "b'client_secret={}&scope=x'",
        '{{"access_token": "{}", "expires_in": 3600}}',
        "{{'refresh_token': '{}', 'a': 1}}",
        '{{"client_secret":"with \\"quotes\\" {}"}}',
        "AuthorizationCode(code='{}', scopes=['x'])",
        "ClientCode(code_challenge=None, client_state='{}')",
        "Authorization: Bearer {}",
        "bearer {}",
        "Basic {}",
        "Cookie: a=b; __Host-MCP_CONSENT_BINDING={}",
        "headers=[(b'Content-Type', b'x'), (b'Set-Cookie', b'a={}; Path=/')]",
        "{{'cookie': 'a={}'}}",
        "X-IDENTITY-HEADER: {}",
        "Transaction {} missing consent_token",
        "(transaction: {}, PKCE: True)",
        "Authorization code not found: {}",
        "Authorization code expired: {}",
        "1 validation error for Model\ncode\n  bad [type=x, input_value='{}', input_type=str]",
        "AccountName=x;AccountKey={};EndpointSuffix=y",
        "https://x.table.core.windows.net/T?sv=1&sig={}",
    ],
)
def test_value_in_its_place_is_redacted_whatever_it_looks_like(text: str) -> None:
    redacted = redact(text.format(SECRET))
    assert SECRET not in redacted
    assert REDACTED in redacted
    assert redact(redacted) == redacted


@pytest.mark.parametrize(
    "secret",
    [
        JWT,
        JWT + ".a.b",
        "eyJ0eG4iOiJhIiwiaWF0IjoxfQ==.0123456789abcdef",
        OPAQUE,
        "abC8Q~aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-.~",
        "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=",
    ],
)
@pytest.mark.parametrize("around", ["{}", "got {} here", "<{}>", "/a/{}?b", "[{},", "x:{}"])
def test_what_looks_like_a_secret_is_redacted_wherever_it_stands(secret: str, around: str) -> None:
    assert redact(around.format(secret)) == around.format(REDACTED)


def test_random_tokens_are_redacted_but_for_the_rarest() -> None:
    tokens = [secrets.token_urlsafe(32) for _ in range(2000)]
    assert sum(token in redact(f"found {token}") for token in tokens) < 20


@pytest.mark.parametrize(
    "text",
    [
        "Entra MCP Server is up at http://localhost:7071/mcp (proxy mode).",
        "POST /token answered 400 to 203.0.113.7, correlation id 0123456789abcdef0123456789abcdef.",
        "Entra ID refused a refresh_token with invalid_grant (AADSTS50173).",
        "A row of mcp-authorization-codes is left to expire: table_storage: status 503",
        "Issued FastMCP tokens for client=0f0b6a52-6c5b-4e8e-9f2c-4d2b3f0f9a11 (access_jti=Zk3vQ9x_, refresh_jti=none)",
        'The request said "code": 404, code=200 and status_code=503',
        "Token refused: its tenant 'x' is not one that may sign in here.",
        "a basic check of the bearer token refused",
        '  File "/app/.python_packages/lib/site-packages/fastmcp/server/auth/oauth_proxy/proxy.py", line 2670, in x',
        "Partition mcp-authorization-codes.a row 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "test_what_looks_like_a_secret_is_redacted_wherever_it_stands",
        '{"event": "refusal", "user": "0f0b6a52-6c5b-4e8e-9f2c-4d2b3f0f9a11", "error": "invalid_grant"}',
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize("piece", ["code ", "code", "eyJ", 'code="', "a", "bearer ", "input_value=", "Aa1-", "code%3D"])
def test_long_hostile_text_costs_little(piece: str) -> None:
    """Each pattern passes over it once, within a second; one that began again at each place would take an hour."""
    redact(piece * (262144 // len(piece)))


def fail(message: str) -> None:
    raise ValueError(message)


@pytest.fixture
def log() -> Iterator[tuple[logging.Logger, io.StringIO]]:
    """A logger that keeps its records to itself, with a handler that was added before the redaction was installed."""
    before = logging.getLogRecordFactory()
    stream = io.StringIO()
    logger = logging.getLogger("tests.redaction")
    handler = logging.StreamHandler(stream)
    logger.addHandler(handler)
    logger.propagate = False
    install_redaction()
    yield logger, stream
    logger.removeHandler(handler)
    logging.setLogRecordFactory(before)


def test_message_arguments_and_exceptions_are_redacted(log: tuple[logging.Logger, io.StringIO]) -> None:
    logger, stream = log
    logger.warning("code=%s at 100%%", SECRET)
    logger.warning("%(token)s", {"token": JWT})
    logger.warning("no arguments, 100% of them, code=" + SECRET)  # noqa: G003 - messages of others are made like that
    try:
        fail(f"state={SECRET}")
    except ValueError as error:
        error.add_note(f"cookie: {SECRET}")
        outer = RuntimeError("outer")
        outer.__cause__ = error
        logger.error("it failed", exc_info=outer, stack_info=True)  # noqa: TRY400 - of another error
    logged = stream.getvalue()
    assert SECRET not in logged
    assert JWT not in logged
    assert "at 100%\n" in logged
    assert "RuntimeError: outer" in logged
    assert "ValueError: state=[redacted]" in logged


@pytest.mark.parametrize("end", ["\n", "\r\n", "\x1b[2K", "\x85", "\u2028", "\x00"])
def test_what_is_put_into_a_message_stays_on_its_line(log: tuple[logging.Logger, io.StringIO], end: str) -> None:
    logger, stream = log
    logger.error("failed: %s, %d", f"x{end}ERROR entra_mcp: forged\ttext", 3)
    written = stream.getvalue()
    assert len(written.splitlines()) == 1
    assert end not in written[:-1]
    assert "ERROR entra_mcp: forged\ttext, 3" in written


def test_error_in_a_message_stays_on_its_line(log: tuple[logging.Logger, io.StringIO]) -> None:
    logger, stream = log
    logger.error("failed: %s", ValueError("x\nERROR entra_mcp: forged"))
    assert len(stream.getvalue().splitlines()) == 1


def test_half_a_character_can_be_written_wherever_it_is(log: tuple[logging.Logger, io.StringIO]) -> None:
    logger, stream = log
    error = ValueError("x\ud800")
    logger.error("failed: %s \udc00 %s", "a\ud83d", error, exc_info=error)
    written = stream.getvalue().encode().decode()
    assert written.startswith(r"failed: a\ud83d \udc00 x\ud800")
    assert r"ValueError: x\ud800" in written


def test_record_without_a_secret_keeps_its_parts(log: tuple[logging.Logger, io.StringIO]) -> None:
    records: list[logging.LogRecord] = []
    logger, _ = log
    logger.addFilter(lambda record: records.append(record) is None)
    try:
        fail("plain")
    except ValueError:
        logger.exception("failed %d times", 3)
    logger.filters.clear()
    (record,) = records
    assert (record.msg, record.args) == ("failed %d times", (3,))
    assert record.exc_info


def test_record_whose_arguments_do_not_fit_is_not_shown(log: tuple[logging.Logger, io.StringIO]) -> None:
    logger, stream = log
    logger.warning("%d", SECRET)
    assert stream.getvalue() == f"{UNREADABLE}\n"


def test_installed_twice_it_is_there_once(log: tuple[logging.Logger, io.StringIO]) -> None:
    install_redaction()
    factory = logging.getLogRecordFactory()
    assert isinstance(factory, RedactingFactory)
    assert not isinstance(factory._make, RedactingFactory)  # pyright: ignore[reportPrivateUsage] - nothing else shows it
