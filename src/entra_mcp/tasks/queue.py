"""The storage queue that brings tasks to whatever instance has time.

A message is base64 of a sealed id: nothing in it can be read. The function of the host takes it as it is
(`messageEncoding` is `none` in host.json).
"""

from __future__ import annotations

import math
from base64 import b64decode, b64encode
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, Self

from azure.core.exceptions import AzureError, ResourceExistsError

from entra_mcp.errors import StorageError, first_line
from entra_mcp.identity import azure_credential
from entra_mcp.patience import Patience

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from azure.storage.queue.aio import QueueClient

    from entra_mcp.settings import Settings

QUEUE = "mcp-tasks"
POISON_QUEUE = "mcp-tasks-poison"
"""Where the host puts a message that it has given up; it creates the queue itself."""

SEND_SECONDS = 6.0
RETRIES: dict[str, Any] = {"retry_total": 2, "retry_connect": 2, "retry_read": 2, "initial_backoff": 1}


class TaskQueue:
    """Sends messages. Its SDK is loaded, and the queue connected, when it is first used."""

    def __init__(self, connect: Callable[[type[QueueClient]], QueueClient]) -> None:
        self._connect = connect
        self._connected: QueueClient | None = None

    @classmethod
    def from_connection_string(cls, connection_string: str, *, name: str = QUEUE) -> Self:
        """The queue of a storage account with keys.

        Raises:
            StorageError: the text is empty.
        """
        if not connection_string:
            raise StorageError("no storage account is configured for the queue of tasks")
        return cls(lambda client: client.from_connection_string(connection_string, name, **RETRIES))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._connected is not None:
            await self._connected.close()

    async def create(self) -> None:
        """Creates the queue unless it is there."""
        async with _patient():
            try:
                await self._client.create_queue()
            except ResourceExistsError:
                return

    async def send(self, message: bytes, *, delay: float = 0.0) -> None:
        """Puts a message into the queue, where nobody sees it for `delay` seconds.

        Raises:
            StorageError: the queue did not take it, or did not answer.
        """
        async with _patient():
            await self._client.send_message(b64encode(message).decode(), visibility_timeout=math.ceil(max(delay, 0)))

    @property
    def _client(self) -> QueueClient:
        if self._connected is None:
            from azure.storage.queue.aio import QueueClient

            self._connected = self._connect(QueueClient)
        return self._connected


@asynccontextmanager
async def open_queue(settings: Settings) -> AsyncGenerator[TaskQueue]:
    """Yields the queue of the settings, reached with an identity or with a connection string.

    Raises:
        StorageError: no setting says where it is.
    """
    async with AsyncExitStack() as stack:
        if (endpoint := settings.queue_service_uri) is not None:
            credential = azure_credential(settings, client_id=settings.storage_client_id)
            await stack.enter_async_context(credential)
            queue = TaskQueue(lambda client: client(endpoint, QUEUE, credential=credential, **RETRIES))
        else:
            connection = settings.storage_connection_string
            queue = TaskQueue.from_connection_string(connection.get_secret_value() if connection else "")
        yield await stack.enter_async_context(queue)


def body_of(text: bytes) -> bytes:
    """Returns the message of a queue message's body; empty when it is none of this server's."""
    try:
        return b64decode(text, validate=True)
    except ValueError:
        return b""


@asynccontextmanager
async def _patient() -> AsyncGenerator[None]:
    try:
        async with Patience(SEND_SECONDS):
            yield
    except TimeoutError as error:
        raise StorageError(f"the queue of tasks did not answer within {SEND_SECONDS:.0f} s") from error
    except AzureError as error:
        raise StorageError(f"the queue of tasks: {type(error).__name__}: {first_line(error)[:200]}") from error
