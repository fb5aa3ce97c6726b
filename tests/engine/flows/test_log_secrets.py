"""Whatever is logged, at whatever level by whatever library, holds none of the secrets that passed."""

from __future__ import annotations

import logging
from base64 import b64decode, b64encode
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import jwt

from entra_mcp.auth import single_use
from entra_mcp.redaction import RedactingFactory
from entra_mcp.vault.keys import Purpose, RootKey
from local.config import IDENTITY_HEADER
from tests.engine.flows.conftest import over
from tests.support.app.server import running_app
from tests.support.fault_proxy import Fault, fault_proxy
from tests.support.mcp import refusal, structured
from tests.support.oauth import OAuthClient
from tests.support.vault import vault_client
from tests.support.wire import Wire, listening

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    import pytest

    from tests.support.fault_proxy import FaultProxy
    from tests.support.standins import StandIns


class Log(logging.Handler):
    """Everything that is logged, formatted, with tracebacks and attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.loggers: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        self.loggers.add(record.name)
        self.lines += [self.format(record), repr(record.exc_info), repr(vars(record))]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


@contextmanager
def everything_logged() -> Generator[tuple[Log, Log]]:
    """Yields what is logged with all loggers at DEBUG, and what would have been logged without the redaction."""
    log, unredacted = Log(), Log()

    def make(*args: Any, **kwargs: Any) -> logging.LogRecord:  # noqa: ANN401 - whatever a factory is given
        unredacted.emit(logging.LogRecord(*args, **kwargs))
        return logging.LogRecord(*args, **kwargs)

    before = logging.getLogRecordFactory()
    logging.setLogRecordFactory(RedactingFactory(make))
    logging.root.addHandler(log)
    try:
        with all_at_debug():
            yield log, unredacted
    finally:
        logging.root.removeHandler(log)
        logging.setLogRecordFactory(before)


@contextmanager
def all_at_debug() -> Generator[None]:
    """Sets every logger that there is to DEBUG."""
    loggers = [logging.root, *(logging.getLogger(name) for name in logging.root.manager.loggerDict)]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


async def keys_of(standins: StandIns, wire: Wire) -> None:
    """Adds the signing key and all that is derived from it."""
    async with vault_client(standins) as vault:
        material = b64decode((await vault.get_secret("jwt-signing-key")).value or "")
    key = RootKey(version="1", material=material)
    for name, secret in {
        "root": material,
        **{use.name: key.derive(use) for use in Purpose if use is not Purpose.KEY_ID},
    }.items():
        wire.add(f"key {name}", secret.hex())
        wire.add(f"key {name}", b64encode(secret).decode())
        wire.add(f"key {name}", repr(secret)[2:-1])


async def everything_that_happens(client: OAuthClient, standins: StandIns, proxy: FaultProxy) -> None:
    """A sign-in, tools and a refresh; then what goes wrong: replays, forgeries, refusals and outages."""
    tokens = await client.sign_in()
    assert structured(await client.call(tokens["access_token"], "whoami"))
    assert structured(await client.call(tokens["access_token"], "graph_me"))
    second = (await client.refresh(tokens["refresh_token"])).json()
    third = (await client.refresh(second["refresh_token"])).json()
    assert (await client.refresh(tokens["refresh_token"])).status_code == 400
    assert (await client.call(third["access_token"], "whoami")).status_code == 401

    code = await client.code()
    assert (await client.redeem(code, code_verifier="x" * 43)).status_code == 400
    assert (await client.redeem(code, redirect_uri="not a uri", client_secret=client.verifier)).status_code == 400
    tokens = (await client.redeem(code)).json()
    assert (await client.redeem(code)).status_code == 400
    assert (await client.redeem(code + "x")).status_code == 400
    assert (await client.call(tokens["access_token"] + "x", "whoami")).status_code == 401
    assert (await client.call(standins.token(), "whoami")).status_code == 401

    tokens = (await client.redeem(await client.code(account="stepup"))).json()
    assert refusal(await client.call(tokens["access_token"], "graph_me"))
    standins.control("POST", "/faults", {"code": 50173, "grant_type": "refresh_token"})
    assert (await client.refresh(tokens["refresh_token"])).status_code == 400
    revoked = await client.http.post("/revoke", data={"client_id": client.client_id, "token": tokens["refresh_token"]})
    assert revoked.status_code == 200

    page = await client.consent_page()
    forged = await client.http.post(str(page.url), data={"txn_id": client.verifier, "csrf_token": client.verifier})
    assert forged.status_code == 400
    client.http.cookies.clear()
    assert (await client.consent(page)).status_code == 403
    assert (await client.authorize(code_challenge="x", nonce=client.verifier)).status_code == 302
    assert (await client.entra_return({"code": client.verifier, "state": client.state})).status_code == 400
    refused = await client.entra_return({"error": "x", "error_description": f"code={client.verifier}"})
    assert refused.status_code == 400

    upstream = await client.consent(await client.consent_page())
    location = upstream.headers["location"]
    back = await client.entra_choice(location, await client.entra_page(location))
    standins.control("POST", "/faults", {"code": 7000215, "times": 5})
    assert (await client.entra_return(back)).status_code == 503
    standins.control("DELETE", "/faults")
    proxy.break_next(Fault.RESET, times=30)
    assert (await client.entra_return(back)).status_code == 503
    proxy.break_next(503, times=30)
    assert (await client.refresh(tokens["refresh_token"])).status_code == 503
    proxy.fault = None


async def test_nothing_that_passed_is_in_any_log_at_debug(
    environment: Callable[..., None], own_standins: StandIns, azurite: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(single_use, "DUPLICATE_SECONDS", 0.0)
    async with fault_proxy(azurite) as (proxy, connection_string):
        with everything_logged() as (log, unredacted), listening() as wire:
            environment(
                **own_standins.environment(), AzureWebJobsStorage=connection_string, MCP_REFRESH_GRACE_SECONDS="0"
            )
            async with running_app() as app, over(app) as http:
                client = OAuthClient(http=http)
                with all_at_debug():  # the start has made some quiet, and others
                    await everything_that_happens(client, own_standins, proxy)
    wire.add("verifier", client.verifier)
    assert own_standins.client_secret in wire.secrets
    wire.add("identity header", IDENTITY_HEADER)
    wire.add("account key", azurite.partition("AccountKey=")[2].partition(";")[0])
    await keys_of(own_standins, wire)
    for token in [value for value in wire.secrets if value.startswith("eyJ") and value.count(".") == 2]:
        wire.add("jti", jwt.decode(token, options={"verify_signature": False}).get("jti", ""))
    kinds = set(wire.secrets.values())
    assert kinds >= {"access_token", "refresh_token", "id_token", "code", "code_verifier", "state", "txn_id", "jti"}
    assert kinds >= {"csrf_token", "bearer", "value"}
    assert any(kind.startswith("cookie ") for kind in kinds)
    assert {"entra_mcp", "fastmcp", "azure", "httpx2", "mcp"} <= {name.partition(".")[0] for name in log.loggers}
    assert len(wire.in_text(unredacted.text)) > 10, "the libraries have nothing to hide, or the search does not find it"
    assert wire.in_text(log.text) == {}


async def test_error_text_of_the_callback_is_not_in_the_log(
    client: OAuthClient, caplog: pytest.LogCaptureFixture
) -> None:
    await client.entra_return({"error": "x", "error_description": "y\nCRITICAL entra_mcp: forged"})
    assert "server_error" in caplog.text
    assert "forged" not in caplog.text
