"""One table of Azure Table Storage: connections, deadlines and errors.

The SDK's own retries (ten, up to two minutes) are far too patient underneath an HTTP request, and its timeouts are no
hard cap. Here every request has short retries and a deadline.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol, Self, cast

from azure.core import MatchConditions
from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    IncompleteReadError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.data.tables import UpdateMode
from azure.data.tables.aio import TableClient

from entra_mcp.azure_transport import azure_transport
from entra_mcp.errors import StorageError, first_line
from entra_mcp.patience import Patience

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
    from types import TracebackType

    from azure.core.async_paging import AsyncItemPaged
    from azure.core.credentials_async import AsyncTokenCredential
    from azure.core.rest import AsyncHttpResponse

    class Entity(dict[str, Any]):
        """A row as it was read: its properties, and its etag in the metadata (`TableEntity`, typed)."""

        metadata: Mapping[str, Any]


READ_SECONDS = 3.0
WRITE_SECONDS = 6.0
QUERY_SECONDS = 30.0
"""For a page of a search through the table, which no request waits for."""

MISSING_TABLE = "TableNotFound"

POST_PAUSES = (0.1, 0.4)
"""Seconds before each repetition of an insert or a transaction, most of whose failures the SDK does not repeat.

A wait that the service asks for is not kept: a lease would run out before it is written.
"""

RETRYABLE = frozenset(
    {
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.INTERNAL_SERVER_ERROR,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
"""Statuses that are worth a repetition."""

BROKEN = (IncompleteReadError, ServiceRequestError, ServiceResponseError)
"""What is raised when a connection breaks; the service may have done what it was asked."""

_ONCE: dict[str, Any] = {"retry_total": 0}
"""For inserts and transactions: `_repeated` repeats them, and a slow one, which may yet be carried out, not at all."""

REFUSED = frozenset(
    {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.CONFLICT,
        HTTPStatus.PRECONDITION_FAILED,
        HTTPStatus.CONTENT_TOO_LARGE,
    }
)
"""Statuses with which the service refuses a transaction as a whole, because of one of its rows or of its size."""

type Operation = tuple[str, Mapping[str, Any]] | tuple[str, Mapping[str, Any], Mapping[str, Any]]
"""One part of a transaction, as the SDK takes it."""

_RETRIES: dict[str, Any] = {
    "retry_total": 3,
    "retry_connect": 2,
    "retry_read": 2,
    "retry_status": 2,
    "retry_backoff_factor": 0.1,
    "retry_backoff_max": 1,
}


class Table:
    """Operations on one table, on any number of event loops; each loop gets connections of its own.

    An async context manager that closes the connections of the running loop, not the credential, whose owner closes it.
    A closed table opens again when it is used. Every method raises `StorageError` when the service is out of reach, too
    slow or refuses, and without a table.
    """

    def __init__(self, connect: Callable[..., TableClient], *, name: str) -> None:
        self._connect = connect
        self.name = name
        self._clients: dict[asyncio.AbstractEventLoop, _Client] = {}

    @classmethod
    def from_connection_string(cls, connection_string: str, *, name: str) -> Self:
        """For Azurite and for accounts with shared keys."""

        def connect(**options: Any) -> TableClient:  # noqa: ANN401 - the SDK's own
            return TableClient.from_connection_string(connection_string, table_name=name, **_RETRIES, **options)

        try:
            connect()
        except ValueError as error:
            raise StorageError("AzureWebJobsStorage is not a connection string of a storage account") from error
        return cls(connect, name=name)

    @classmethod
    def from_identity(cls, endpoint: str, *, name: str, credential: AsyncTokenCredential) -> Self:
        """For accounts that are reached with an identity that has the role Storage Table Data Contributor."""
        return cls(partial(TableClient, endpoint, name, credential=credential, **_RETRIES), name=name)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connections that the running event loop has opened."""
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.close()

    async def create(self) -> None:
        """Creates the table unless it is there."""
        await self._post(lambda client: client.create_table(), unless={HTTPStatus.CONFLICT})

    async def check(self) -> None:
        """Reads a row that is not there: a reachable service, the role and the table are all needed for that answer."""
        await self.read("check", "check")

    async def read(self, partition: str, row: str) -> Entity | None:
        """Returns the row, or None when there is none."""
        return await self._ask(
            READ_SECONDS, lambda client: client.get_entity(partition, row), unless={HTTPStatus.NOT_FOUND}
        )

    async def insert(self, entity: Mapping[str, Any]) -> str | None:
        """Writes a new row and returns its etag; returns None, and changes nothing, when there is one already.

        After a lost response the row that is there may be this very one; compare what only the writer can know.
        """
        written = await self._post(lambda client: client.create_entity(entity, **_ONCE), unless={HTTPStatus.CONFLICT})
        return None if written is None else str(written["etag"])

    async def replace(self, entity: Mapping[str, Any]) -> None:
        """Writes the row whole, whether or not it was there; properties that it no longer has are gone."""
        await self._ask(WRITE_SECONDS, lambda client: client.upsert_entity(entity, UpdateMode.REPLACE))

    async def replace_unchanged(self, entity: Mapping[str, Any], *, etag: str) -> str | None:
        """Writes the row whole if it is still the one with this etag; returns its new etag, or None when it is not.

        After a lost response the answer may be None although this call wrote the row.
        """
        return await self._update(entity, etag=etag)

    async def replace_present(self, entity: Mapping[str, Any]) -> bool:
        """Writes the row whole if there is one; returns whether there was."""
        return await self._update(entity, etag=None) is not None

    async def _update(self, entity: Mapping[str, Any], *, etag: str | None) -> str | None:
        # An update without a condition still wants the row to be there; only the SDK's upsert does not.
        condition = _condition(etag)
        written = await self._ask(
            WRITE_SECONDS,
            lambda client: client.update_entity(entity, UpdateMode.REPLACE, etag=etag, match_condition=condition),
            unless={HTTPStatus.NOT_FOUND, HTTPStatus.PRECONDITION_FAILED},
        )
        return None if written is None else str(written["etag"])

    async def delete(self, partition: str, row: str, *, etag: str | None = None) -> bool:
        """Deletes the row, with an etag only if it is still that one; returns whether this call deleted it.

        After a lost response the answer may be False although it did: never do two callers hear True.
        """
        answers: list[AsyncHttpResponse] = []
        # The SDK passes over a 404, so its response has to show what there was.
        await self._ask(
            WRITE_SECONDS,
            lambda client: client.delete_entity(
                partition,
                row,
                etag=etag,
                match_condition=_condition(etag),
                raw_response_hook=lambda response: answers.append(response.http_response),
            ),
            unless={HTTPStatus.PRECONDITION_FAILED},
        )
        if answers and answers[-1].status_code == HTTPStatus.NOT_FOUND and _code_in(answers[-1]) == MISSING_TABLE:
            raise StorageError(self._missing)
        return bool(answers) and answers[-1].status_code == HTTPStatus.NO_CONTENT

    async def transact(self, operations: Sequence[Operation]) -> bool:
        """Does up to 100 operations on one partition, all or none; returns False when the service refuses them."""
        done = await self._post(lambda client: client.submit_transaction(operations, **_ONCE), unless=REFUSED)
        return done is not None

    async def query(self, filter_: str, *, select: Sequence[str]) -> AsyncIterator[list[Entity]]:
        """Yields pages of the rows that match; each page has a deadline of its own.

        The service may search for five seconds before it answers, with a page that may be empty.
        """
        pages: AsyncIterator[AsyncIterator[Entity]] | None = None
        while True:
            async with self._request(QUERY_SECONDS) as client:
                pages = pages or client.query_entities(filter_, select=list(select)).by_page()
                try:
                    page = [entity async for entity in await anext(pages)]
                except StopAsyncIteration:
                    return
            yield page

    async def _ask[T](
        self, seconds: float, send: Callable[[_Client], Awaitable[T]], *, unless: Collection[int] = ()
    ) -> T | None:
        """Returns the answer, or None when it has a status of `unless` and the table is there."""
        async with self._request(seconds) as client:
            try:
                return await send(client)
            except HttpResponseError as error:
                if error.status_code not in unless or _code(error) == MISSING_TABLE:
                    raise
                return None

    async def _post[T](self, send: Callable[[_Client], Awaitable[T]], *, unless: Collection[int]) -> T | None:
        """As `_ask`, for inserts and transactions."""
        return await self._ask(WRITE_SECONDS, lambda client: _repeated(lambda: send(client)), unless=unless)

    @asynccontextmanager
    async def _request(self, seconds: float) -> AsyncGenerator[_Client]:
        try:
            async with Patience(seconds):
                yield self._client()
        except TimeoutError as error:
            raise StorageError(f"no answer within {seconds:.0f} s") from error
        except (AzureError, AttributeError) as error:
            fault = _fault(error)
            raise StorageError(self._problem(fault)) from fault

    def _client(self) -> _Client:
        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is None:
            for ended in [other for other in list(self._clients) if other.is_closed()]:
                del self._clients[ended]
            client = self._clients[loop] = cast("_Client", self._connect(transport=azure_transport()))
        return client

    @property
    def _missing(self) -> str:
        return f"table {self.name!r} does not exist"

    def _problem(self, error: AzureError) -> str:
        match _code(error), error:
            case code, _ if code == MISSING_TABLE:
                return self._missing
            case code, HttpResponseError(status_code=HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN):
                return f"the identity may not use table {self.name!r} (role Storage Table Data Contributor): {code}"
            case code, HttpResponseError(status_code=int(status)):
                return f"{type(error).__name__}: status {status}, {code or first_line(error)[:200]}"
            case code, _:
                return f"{type(error).__name__}: {code or first_line(error)[:200]}"


async def _repeated[T](send: Callable[[], Awaitable[T]]) -> T:
    """Sends an insert or a transaction, again if need be."""
    for pause in POST_PAUSES:
        try:
            return await send()
        except (AzureError, AttributeError) as error:
            fault = _fault(error)
            status = fault.status_code if isinstance(fault, HttpResponseError) else None
            if not (status in RETRYABLE or isinstance(fault, BROKEN)):
                raise
        await asyncio.sleep(pause)
    return await send()


def _fault(error: AzureError | AttributeError) -> AzureError:
    """Returns what is wrong: the SDK's handling of errors itself fails on an insert whose response broke off."""
    fault = error if isinstance(error, AzureError) else error.__context__
    if not isinstance(fault, AzureError):
        raise error
    return fault


class _PipelineResponse(Protocol):
    """What the SDK hands to a response hook, as far as it is used here."""

    http_response: AsyncHttpResponse


class _Client(Protocol):
    """The part of `azure.data.tables.aio.TableClient` that is used here, whose own annotations have gaps."""

    async def create_table(self) -> object: ...
    async def get_entity(self, partition_key: str, row_key: str) -> Entity: ...
    async def create_entity(self, entity: Mapping[str, Any], *, retry_total: int) -> Mapping[str, Any]: ...
    async def upsert_entity(self, entity: Mapping[str, Any], mode: UpdateMode) -> object: ...
    async def update_entity(
        self, entity: Mapping[str, Any], mode: UpdateMode, *, etag: str | None, match_condition: MatchConditions
    ) -> Mapping[str, Any]: ...
    async def delete_entity(
        self,
        partition_key: str,
        row_key: str,
        *,
        etag: str | None,
        match_condition: MatchConditions,
        raw_response_hook: Callable[[_PipelineResponse], None],
    ) -> None: ...
    def query_entities(self, query_filter: str, *, select: list[str]) -> AsyncItemPaged[Entity]: ...
    async def submit_transaction(self, operations: Sequence[Operation], *, retry_total: int) -> object: ...
    async def close(self) -> None: ...


def _condition(etag: str | None) -> MatchConditions:
    return MatchConditions.Unconditionally if etag is None else MatchConditions.IfNotModified


def _code(error: AzureError) -> str:
    """The service's name for what is wrong; the SDK decodes it for some operations only."""
    code = getattr(error, "error_code", None)
    if code is None and isinstance(error, HttpResponseError) and error.response is not None:
        return _code_in(cast("AsyncHttpResponse", error.response))
    return str(getattr(code, "value", code) or "")


def _code_in(response: AsyncHttpResponse) -> str:
    if code := response.headers.get("x-ms-error-code"):
        return code
    try:
        return str(json.loads(response.text())["odata.error"]["code"])
    except (KeyError, TypeError, ValueError):
        return ""
