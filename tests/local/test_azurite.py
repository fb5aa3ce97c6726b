"""Azurite as the local run starts it: its data outlive it, however the run ends."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from azure.data.tables import TableClient

from local.azurite import azurite_command, azurite_service, connection_string
from local.config import REPOSITORY
from local.processes.probes import status_of
from local.processes.supervisor import Supervisor
from local.progress import CommandError
from tests.support.azurite import running_azurite
from tests.support.ports import free_ports

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.azurite import Azurite


def table_client(storage: str) -> Any:  # noqa: ANN401 - the SDK's own types are partly unknown
    return TableClient.from_connection_string(storage, "Kept")


def write(storage: str, rows: int) -> None:
    with table_client(storage) as table:
        table.create_table()
        for number in range(rows):
            table.create_entity({"PartitionKey": "p", "RowKey": str(number)})


def count(storage: str) -> int:
    with table_client(storage) as table:
        return sum(1 for _ in table.list_entities())


async def test_data_survive_a_stop_and_a_start_right_after_the_last_write(tmp_path: Path) -> None:
    blob, queue, table = free_ports(3)
    for attempt in range(2):
        service = azurite_service(
            REPOSITORY, location=tmp_path / "data", blob=blob, queue=queue, table=table, environment=os.environ
        )
        storage = connection_string(blob=blob, queue=queue, table=table)
        async with Supervisor(logs=tmp_path / "logs") as supervisor:
            await supervisor.start(service)
            if attempt == 0:
                await asyncio.to_thread(write, storage, 50)
            else:
                assert await asyncio.to_thread(count, storage) == 50


def test_test_azurite_has_ports_of_its_own_and_keeps_them_and_its_data_over_an_outage(
    azurite_process: Azurite, tmp_path: Path
) -> None:
    with running_azurite(tmp_path / "azurite") as azurite:
        assert azurite.table_port != azurite_process.table_port
        before = azurite.connection_string
        write(before, 3)
        azurite.stop()
        azurite.start()
        assert azurite.connection_string == before
        assert count(before) == 3


async def test_azurite_listens_on_127_0_0_1_only(azurite_process: Azurite) -> None:
    assert await status_of(f"http://127.0.0.1:{azurite_process.table_port}/{uuid4().hex}") >= 400
    with pytest.raises(OSError, match=r"Connect call failed|refused"):
        await status_of(f"http://127.0.0.2:{azurite_process.table_port}/")


def test_missing_azurite_is_explained(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="python -m local setup"):
        azurite_command(tmp_path, location=tmp_path, blob=1, queue=2, table=3)


def test_connection_string_never_says_localhost() -> None:
    text = connection_string(blob=1, queue=2, table=3)
    assert "localhost" not in text
    assert "TableEndpoint=http://127.0.0.1:3/devstoreaccount1;" in text
