"""`revoke`: a person's tokens go, nobody else's, through the vault and the table as the server knows them."""

from __future__ import annotations

import asyncio
import io
import re
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from azure.core.credentials import AccessToken
from azure.data.tables import TableServiceClient

from entra_mcp.ownership import OWNER, full_name, owner_of
from entra_mcp.storage.collections import AUTHORIZATION_CODES, UPSTREAM_TOKENS
from entra_mcp.storage.encryption import RowCipher
from entra_mcp.storage.owners import OwnerMarks
from entra_mcp.storage.store import TableStore
from entra_mcp.storage.table import Table
from entra_mcp.tasks.rows import Task, TaskRows
from entra_mcp.vault.client import Vault
from ops.cli import run
from tests.support.vault import RESOURCE, operator

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from tests.support.standins import StandIns

ANN, BEN = "aaaaaaaa-0001-4000-8000-00000000000a", "bbbbbbbb-0001-4000-8000-00000000000b"


class StandInCredential:
    """Tokens of the stand-in's administrator, as those of the person at the command line."""

    def __init__(self, standins: StandIns) -> None:
        self._standins = standins

    def get_token(self, *_scopes: str, **_options: Any) -> AccessToken:  # noqa: ANN401 - azure-core's protocol
        return AccessToken(self._standins.token("admin", aud=RESOURCE), int(time.time()) + 3600)


def revoke(
    standins: StandIns, azurite: str, table: str, user: str, root: Path, *further: str, option: str = "--user"
) -> tuple[int, str]:
    out = io.StringIO()
    code = run(
        ["revoke", option, user, *further],
        variables={"KEY_VAULT_URL": standins.vault_url, "AzureWebJobsStorage": azurite, "MCP_TABLE_NAME": table},
        credential=lambda _: StandInCredential(standins),
        out=out,
        sleep=lambda _: None,
        root=root,
    )
    return code, out.getvalue()


@asynccontextmanager
async def state(standins: StandIns, azurite: str, name: str) -> AsyncGenerator[tuple[TableStore, TaskRows]]:
    """What the server stores in a new table of this name, under the keys of the vault."""
    async with (
        Vault(url=standins.vault_url, credential=operator(standins)) as vault,
        Table.from_connection_string(azurite, name=name) as table,
    ):
        await table.create()
        ring = (await vault.read(client_secret=False)).signing_keys
        cipher, marks = RowCipher(ring), OwnerMarks(ring)
        store = TableStore(table=table, cipher=cipher, marks=marks, owner_of=owner_of)
        yield store, TaskRows(table=table, cipher=cipher, marks=marks)


async def fill(standins: StandIns, azurite: str, name: str) -> None:
    """Two token sets and a code of one person, one token set of another."""
    async with state(standins, azurite, name) as (store, _):
        for key, owner in [("1", ANN), ("2", ANN), ("3", BEN)]:
            await store.put(key, {"access_token": standins.token(oid=owner)}, collection=UPSTREAM_TOKENS)
        code = {"idp_tokens": {"access_token": standins.token(oid=ANN)}}
        await store.put("4", code, collection=AUTHORIZATION_CODES)


def task(number: str, *, owner: str) -> Task:
    now = time.time()
    return Task(
        id=f"task-{number}", tool="work", version=None, arguments={}, owner=owner, caller={}, created=now,
        expires=now + 3600, poll_ms=1000,
    )  # fmt: skip


def rows(azurite: str, name: str) -> int:
    with TableServiceClient.from_connection_string(azurite) as service:
        client: Any = service.get_table_client(name)
        return len(list(client.list_entities()))


async def test_tokens_of_one_person_are_deleted_and_run_again_there_are_none(
    standins: StandIns, azurite: str, tmp_path: Path
) -> None:
    name = f"R{uuid4().hex}"
    await fill(standins, azurite, name)
    code, text = await asyncio.to_thread(revoke, standins, azurite, name, ANN.upper(), tmp_path)
    assert (code, rows(azurite, name)) == (0, 1), text
    assert "3 rows with tokens deleted" in text
    code, text = await asyncio.to_thread(revoke, standins, azurite, name, ANN, tmp_path)
    assert (code, rows(azurite, name)) == (0, 1)
    where = re.findall(r"TableEndpoint=([^;]+)", azurite)
    assert f"nothing to delete in {name} at {where[0]}\n" in text
    assert "AccountKey" not in text


async def test_named_environment_is_not_looked_for_in_the_storage_of_the_shell(
    standins: StandIns, azurite: str, tmp_path: Path
) -> None:
    shell, prod = f"R{uuid4().hex}", f"R{uuid4().hex}"
    for name in (shell, prod):
        await fill(standins, azurite, name)
    file = tmp_path / ".azure" / "prod" / ".env"
    file.parent.mkdir(parents=True)
    file.write_text(f"KEY_VAULT_URL='{standins.vault_url}'\nMCP_TABLE_NAME='{prod}'\n")
    named = ("--environment", "prod")
    code, text = await asyncio.to_thread(revoke, standins, azurite, shell, BEN, tmp_path, *named)
    assert (code, "AZURE_STORAGE_ACCOUNT_NAME" in text) == (2, True), text
    with file.open("a") as more:
        more.write(f"AzureWebJobsStorage='{azurite}'\n")
    code, text = await asyncio.to_thread(revoke, standins, azurite, shell, BEN, tmp_path, *named)
    assert (code, rows(azurite, prod), rows(azurite, shell)) == (0, 3, 4), text


@pytest.mark.parametrize(
    "subject", ["okta|00u1Ab", "OKTA|00U1aB", "https://idp.example/users/1", "spiffe://a/%2f", "Ä Ö"]
)
async def test_tokens_and_tasks_of_whom_another_identity_provider_asserts_are_found_by_the_subject(
    standins: StandIns, azurite: str, tmp_path: Path, subject: str
) -> None:
    name = f"R{uuid4().hex}"
    async with state(standins, azurite, name) as (store, tasks):
        for key, owner in [("1", subject.replace("OKTA", "okta")), ("2", "users/1"), ("3", "1"), ("4", "/")]:
            await store.put(key, {OWNER: owner}, collection=UPSTREAM_TOKENS)
            await tasks.create(task(key, owner=full_name("https://idp.example", owner)))
    before = rows(azurite, name)
    code, text = await asyncio.to_thread(revoke, standins, azurite, name, subject, tmp_path, option="--subject")
    assert (code, rows(azurite, name)) == (0, before - 2), text


def test_subject_that_is_empty_is_wrong_usage(standins: StandIns, azurite: str, tmp_path: Path) -> None:
    assert revoke(standins, azurite, "Any", "", tmp_path, option="--subject")[0] == 2


def test_table_that_is_not_there_is_a_failure_with_a_remedy(standins: StandIns, azurite: str, tmp_path: Path) -> None:
    code, text = revoke(standins, azurite, f"R{uuid4().hex}", ANN, tmp_path)
    assert code == 1
    assert "does not exist" in text
    assert "Storage Table Data Contributor" in text


@pytest.mark.parametrize("user", ["somebody@contoso.com", "x", ""])
def test_user_that_is_no_object_id_is_wrong_usage(standins: StandIns, azurite: str, tmp_path: Path, user: str) -> None:
    code, text = revoke(standins, azurite, "Any", user, tmp_path)
    assert code == 2
    assert "az ad user show" in text


def test_missing_inputs_are_named(tmp_path: Path) -> None:
    out = io.StringIO()
    assert run(["revoke", "--user", ANN], variables={}, out=out, sleep=lambda _: None, root=tmp_path) == 2
    assert "AZURE_KEY_VAULT_NAME" in out.getvalue()
