"""What the check of a run says of a server that is up but not ready."""

from __future__ import annotations

import io
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from local.account import Account
from local.check.report import CheckFailedError
from local.check.run import check_server, check_token, why_not_ready

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from tests.support.standins import StandIns


class _NotReady(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b'{"status": "not ready", "failed": ["storage"]}'
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.send_response(503)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 - as above

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


@contextmanager
def server_that_is_not_ready() -> Generator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _NotReady)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/mcp"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def test_check_of_a_server_that_is_not_ready_says_what_it_waits_for_and_keeps_the_sign_in(tmp_path: Path) -> None:
    kept = tmp_path / "sign-in.json"
    kept.write_text('{"a": {}}')
    with server_that_is_not_ready() as url, pytest.raises(CheckFailedError) as caught:
        await check_server(
            url, person="Local User", kept=tmp_path, log=tmp_path / "log", report=Account(file=io.StringIO())
        )
    assert caught.value.step == "readiness"
    assert "/readyz answers 503" in caught.value.reason
    assert "storage" in caught.value.reason
    assert kept.read_text() == '{"a": {}}'


async def test_check_with_a_token_says_what_the_server_waits_for(tmp_path: Path, standins: StandIns) -> None:
    said = io.StringIO()
    with server_that_is_not_ready() as url, pytest.raises(CheckFailedError, match="storage"):
        await check_token(
            url,
            account="user",
            entra=standins.entra_url,
            ca=standins.bundle,
            log=tmp_path / "log",
            report=Account(file=said),
        )
    assert "the account user" in said.getvalue()


async def test_readiness_of_a_server_that_is_gone_is_told() -> None:
    with server_that_is_not_ready() as url:
        pass
    assert "does not answer" in await why_not_ready(url)
