"""What the check of a run says of a server that is up but not ready."""

from __future__ import annotations

import io
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from local.account import Account
from local.check.report import CheckFailedError
from local.check.run import check_server, check_token, why_not_ready
from local.check.storage import file_store
from tests.support.serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from starlette.requests import Request
    from starlette.responses import Response

    from tests.support.standins import StandIns


async def not_ready(_request: Request) -> Response:
    return JSONResponse({"status": "not ready", "failed": ["storage"]}, status_code=503)


@asynccontextmanager
async def server_that_is_not_ready() -> AsyncGenerator[str]:
    async with serving(Starlette(routes=[Route("/{path:path}", not_ready, methods=["GET", "POST"])])) as port:
        yield f"http://127.0.0.1:{port}/mcp"


async def test_check_of_a_server_that_is_not_ready_says_what_it_waits_for_and_keeps_the_sign_in(tmp_path: Path) -> None:
    await file_store(tmp_path / "kept").put("key", {"a": 1})
    report = Account(file=io.StringIO())
    async with server_that_is_not_ready() as url:
        with pytest.raises(CheckFailedError) as caught:
            await check_server(url, person="Local User", kept=tmp_path / "kept", log=tmp_path / "log", report=report)
    assert caught.value.step == "readiness"
    assert "/readyz answers 503" in caught.value.reason
    assert "storage" in caught.value.reason
    assert await file_store(tmp_path / "kept").get("key") == {"a": 1}


async def test_kept_sign_in_that_cannot_be_read_is_left_for_another(tmp_path: Path) -> None:
    said = io.StringIO()
    async with server_that_is_not_ready() as url:
        await file_store(tmp_path / "kept").put(f"{url}/tokens", {"a": 1}, collection="mcp-oauth-token")
        (file,) = (tmp_path / "kept").glob("*/*.json")
        file.write_text("{")
        with pytest.raises(CheckFailedError, match="readiness"):
            await check_server(
                url, person="Local User", kept=tmp_path / "kept", log=tmp_path / "log", report=Account(file=said)
            )
    assert "the kept sign-in is no longer good" in said.getvalue()
    assert not file.exists()


async def test_sign_in_that_was_kept_in_another_folder_is_left_for_another(tmp_path: Path) -> None:
    said = io.StringIO()
    async with server_that_is_not_ready() as url:
        await file_store(tmp_path / "before").put(f"{url}/tokens", {"a": 1}, collection="mcp-oauth-token")
        (file,) = (tmp_path / "before").glob("*/*.json")
        file.unlink()  # as a sign-in that failed leaves it
        (tmp_path / "before").rename(tmp_path / "kept")
        with pytest.raises(CheckFailedError, match="readiness"):
            await check_server(
                url, person="Local User", kept=tmp_path / "kept", log=tmp_path / "log", report=Account(file=said)
            )
    assert "the kept sign-in is no longer good" in said.getvalue()


async def test_file_in_which_the_sign_in_was_kept_earlier_is_removed(tmp_path: Path) -> None:
    earlier = tmp_path / "sign-in.json"
    earlier.write_text('{"mcp-oauth-token/tokens": "secret"}')
    kept, log, report = tmp_path / "sign-in", tmp_path / "log", Account(file=io.StringIO())
    async with server_that_is_not_ready() as url:
        with pytest.raises(CheckFailedError, match="readiness"):
            await check_server(url, person="Local User", kept=kept, log=log, report=report)
    assert not earlier.exists()


async def test_check_with_a_token_says_what_the_server_waits_for(tmp_path: Path, standins: StandIns) -> None:
    said = io.StringIO()
    entra, ca, log = standins.entra_url, standins.bundle, tmp_path / "log"
    async with server_that_is_not_ready() as url:
        with pytest.raises(CheckFailedError, match="storage"):
            await check_token(url, account="user", entra=entra, ca=ca, log=log, report=Account(file=said))
    assert "the account user" in said.getvalue()


async def test_readiness_of_a_server_that_is_gone_is_told() -> None:
    async with server_that_is_not_ready() as url:
        pass
    assert "does not answer" in await why_not_ready(url)
