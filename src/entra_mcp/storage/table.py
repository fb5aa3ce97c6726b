"""One table of Azure Table Storage: connection, deadlines and errors.

The SDK's own retries (ten, up to two minutes) are far too patient underneath an HTTP request, and its timeouts are no
hard cap. Here every request has short retries and a hard deadline.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Protocol, Self, cast

from azure.core import MatchConditions
from azure.core.exceptions import AzureError, HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.data.tables import UpdateMode
from azure.data.tables.aio import TableClient

from entra_mcp.errors import StorageError, first_line

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
    from types import TracebackType

    from azure.core.async_paging import AsyncItemPaged
    from azure.core.credentials_async import AsyncTokenCredential
    from azure.core.rest import AsyncHttpResponse
    from azure.data.tables import TableEntity

READ_SECONDS = 3.0
WRITE_SECONDS = 6.0

MISSING_TABLE = "TableNotFound"

type _Operation = tuple[str, Mapping[str, Any], Mapping[str, Any]]

_PATIENCE: dict[str, Any] = {
    "retry_total": 3,
    "retry_connect": 2,
    "retry_read": 2,
    "retry_status": 2,
    "retry_backoff_factor": 0.1,
    "retry_backoff_max": 1,
    "connection_timeout": 2,
    "read_timeout": 3,
}


class Table:
    """Point operations on one table. An async context manager that closes its connections, not the credential.

    Every method raises `StorageError` when the service is out of reach, too slow or refuses, and without a table.
    """

    def __init__(self, client: TableClient) -> None:
        self._client = cast("_Client", client)

    @classmethod
    def from_connection_string(cls, connection_string: str, *, name: str) -> Self:
        """For Azurite and for accounts with shared keys."""
        try:
            return cls(TableClient.from_connection_string(connection_string, table_name=name, **_PATIENCE))
        except ValueError as error:
            raise StorageError("AzureWebJobsStorage is not a connection string of a storage account") from error

    @classmethod
    def from_identity(cls, endpoint: str, *, name: str, credential: AsyncTokenCredential) -> Self:
        """For accounts that are reached with an identity that has the role Storage Table Data Contributor."""
        return cls(TableClient(endpoint, name, credential=credential, **_PATIENCE))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.close()

    async def create(self) -> None:
        """Makes the table unless it is there."""
        async with self._request(WRITE_SECONDS):
            try:
                await self._client.create_table()
            except ResourceExistsError:
                return

    async def check(self) -> None:
        """Reads a row that is not there: a reachable service, the role and the table are all needed for that answer."""
        await self.read("check", "check")

    async def read(self, partition: str, row: str) -> TableEntity | None:
        """Returns the row, or None when there is none."""
        async with self._request(READ_SECONDS):
            try:
                return await self._client.get_entity(partition, row)
            except ResourceNotFoundError as error:
                if _code(error) == MISSING_TABLE:
                    raise
                return None

    async def replace(self, entity: Mapping[str, Any]) -> None:
        """Writes the row whole, whether or not it was there; properties that it no longer has are gone."""
        async with self._request(WRITE_SECONDS):
            await self._client.upsert_entity(entity, UpdateMode.REPLACE)

    async def delete(self, partition: str, row: str) -> bool:
        """Deletes the row; returns whether it was there, which the SDK's own method does not tell."""
        status: list[int] = []

        def note(response: _PipelineResponse) -> None:
            status.append(response.http_response.status_code)

        async with self._request(WRITE_SECONDS):
            await self._client.delete_entity(partition, row, raw_response_hook=note)
        return bool(status) and status[-1] == 204

    async def query(self, filter_: str, *, select: Sequence[str]) -> AsyncIterator[list[TableEntity]]:
        """Yields pages of the rows that match; each page has a deadline of its own."""
        pages = self._client.query_entities(filter_, select=list(select)).by_page()
        while True:
            async with self._request(WRITE_SECONDS):
                try:
                    page = [entity async for entity in await anext(pages)]
                except StopAsyncIteration:
                    return
            yield page

    async def delete_unchanged(self, entities: Sequence[TableEntity]) -> bool:
        """Deletes up to 100 rows of one partition in one transaction; returns False when any of them has changed."""
        operations: list[_Operation] = [
            (
                "delete",
                {"PartitionKey": entity["PartitionKey"], "RowKey": entity["RowKey"]},
                {"etag": entity.metadata["etag"], "match_condition": MatchConditions.IfNotModified},
            )
            for entity in entities
        ]
        async with self._request(WRITE_SECONDS):
            try:
                await self._client.submit_transaction(operations)
            except HttpResponseError as error:
                if _code(error) in {"UpdateConditionNotSatisfied", "ResourceNotFound", "EntityNotFound"}:
                    return False
                raise
        return True

    @asynccontextmanager
    async def _request(self, seconds: float) -> AsyncGenerator[None]:
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError as error:
            raise StorageError(f"no answer within {seconds:.0f} s") from error
        except AzureError as error:
            raise StorageError(_problem(error, table=self._client.table_name)) from error


class _PipelineResponse(Protocol):
    """What the SDK hands to a response hook, as far as it is used here."""

    http_response: AsyncHttpResponse


class _Client(Protocol):
    """The part of `azure.data.tables.aio.TableClient` that is used here, whose own annotations have gaps."""

    table_name: str

    async def create_table(self) -> object: ...
    async def get_entity(self, partition_key: str, row_key: str) -> TableEntity: ...
    async def upsert_entity(self, entity: Mapping[str, Any], mode: UpdateMode) -> object: ...
    async def delete_entity(
        self, partition_key: str, row_key: str, *, raw_response_hook: Callable[[_PipelineResponse], None]
    ) -> None: ...
    def query_entities(self, query_filter: str, *, select: list[str]) -> AsyncItemPaged[TableEntity]: ...
    async def submit_transaction(self, operations: Sequence[_Operation]) -> object: ...
    async def close(self) -> None: ...


def _code(error: AzureError) -> str:
    code = getattr(error, "error_code", None)
    return str(getattr(code, "value", code) or "")


def _problem(error: AzureError, *, table: str) -> str:
    match _code(error), error:
        case code, _ if code == MISSING_TABLE:
            return f"table {table!r} does not exist"
        case code, HttpResponseError(status_code=401 | 403):
            return f"the identity may not use table {table!r} (role Storage Table Data Contributor): {code}"
        case code, _:
            return f"{type(error).__name__}: {code or first_line(error)}"
