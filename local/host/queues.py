"""Delivers the messages of storage queues, as the host's Storage Queues extension does (5.3.10, watched).

A message that is taken is invisible for ten minutes, which is renewed while its function runs. A function that returns
deletes its message. One that fails, or whose worker dies or is ended for its time, gives it back after
`visibilityTimeout`, and that counts as an attempt of every message in flight. After `maxDequeueCount` attempts the
message goes to the queue `<name>-poison`. A host that dies gives nothing back: its messages come after ten minutes.
"""

from __future__ import annotations

import asyncio
import json
import logging
from base64 import b64decode
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError

from local.host.errors import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from azure.storage.queue import QueueMessage
    from azure.storage.queue.aio import QueueClient

    from local.host.messages import Function
    from local.host.process import WorkerProcess
    from local.host.settings_files import QueueOptions

INVISIBLE_SECONDS = 600
RENEW_SECONDS = 300.0
MIN_PAUSE_SECONDS = 0.1
POISON = "-poison"

logger = logging.getLogger(__name__)


class Listener:
    """Runs a function for each message of its queue.

    Raises:
        UnsupportedError: the app has no setting with its connection string, or has one in parts, as for an identity.
    """

    def __init__(
        self, function: Function, worker: WorkerProcess, *, environment: Mapping[str, str], options: QueueOptions
    ) -> None:
        setting = str(function.trigger.get("connection") or "AzureWebJobsStorage")
        self._connection_string = environment.get(setting, "")
        if not self._connection_string:
            raise UnsupportedError(f"Function {function.name}: the setting {setting} is no connection string.")
        self._function = function
        self._worker = worker
        self._options = options
        self._queue = str(function.trigger["queueName"])
        self._running: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Delivers messages until cancelled. Those that are under way then are deleted or given back all the same."""
        async with self._client(self._queue) as client:
            pause = MIN_PAUSE_SECONDS
            while True:
                taken = await self._take(client) if len(self._running) <= self._options.new_batch_threshold else []
                for message in taken:
                    task = asyncio.create_task(self._handle(message))
                    self._running.add(task)
                    task.add_done_callback(self._running.discard)
                longest = self._options.max_polling_interval.total_seconds()
                pause = MIN_PAUSE_SECONDS if taken else min(pause * 2, longest)
                if self._running:
                    await asyncio.wait(self._running, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
                else:
                    await asyncio.sleep(pause)

    async def _take(self, client: QueueClient) -> list[QueueMessage]:
        """Takes a batch, in one request; a queue that is not there, or does not answer, is empty until it does."""
        batches = client.receive_messages(
            messages_per_page=self._options.batch_size, visibility_timeout=INVISIBLE_SECONDS
        ).by_page()
        try:
            batch = await anext(batches, None)
        except ResourceNotFoundError:
            return []
        except AzureError as error:
            logger.warning("The queue %s does not answer: %s", self._queue, type(error).__name__)
            return []
        return [] if batch is None else [message async for message in batch]

    async def _handle(self, message: QueueMessage) -> None:
        async with self._client(self._queue) as client:
            renewing = asyncio.create_task(_renew(client, message))
            try:
                error = await self._worker.call(self._function, kind="queue", data=self._data(message))
            finally:
                renewing.cancel()
                await asyncio.wait((renewing,))
            await self._settle(client, message, error=error)

    async def _settle(self, client: QueueClient, message: QueueMessage, *, error: str | None) -> None:
        """Deletes the message of a function that succeeded, and gives back or poisons that of another one."""
        try:
            if error is None:
                await client.delete_message(message)
                return
            logger.error("%s failed: %s", self._function.name, error)
            if self._queue.endswith(POISON):
                return  # it has no poison queue: the message stays invisible until its time is over
            if (message.dequeue_count or 0) >= self._options.max_dequeue_count:
                await self._poison(message)
                await client.delete_message(message)
            else:
                seconds = int(self._options.visibility_timeout.total_seconds())
                await client.update_message(message.id, message.pop_receipt, visibility_timeout=seconds)
        except AzureError as fault:
            logger.warning("A message stays in the queue %s: %s", self._queue, type(fault).__name__)

    async def _poison(self, message: QueueMessage) -> None:
        logger.error("A message of %s has been tried %d times.", self._queue, message.dequeue_count)
        async with self._client(f"{self._queue}{POISON}") as poison:
            with suppress(ResourceExistsError):
                await poison.create_queue()
            await poison.send_message(message.content)

    def _data(self, message: QueueMessage) -> dict[str, Any]:
        content = message.content
        body = content if self._options.message_encoding == "none" else b64decode(content).decode()
        values: dict[str, Any] = {
            "Id": message.id,
            "DequeueCount": message.dequeue_count,
            "InsertionTime": message.inserted_on,
            "ExpirationTime": message.expires_on,
            "NextVisibleTime": message.next_visible_on,
            "PopReceipt": message.pop_receipt,
        }
        metadata = {name: json.dumps(value, default=datetime.isoformat) for name, value in values.items()}
        return {"body": body, "metadata": metadata}

    def _client(self, queue: str) -> QueueClient:
        from azure.storage.queue.aio import QueueClient  # for apps with queues alone

        return QueueClient.from_connection_string(self._connection_string, queue)


async def _renew(client: QueueClient, message: QueueMessage) -> None:
    """Keeps the message invisible; each renewal gives it another receipt."""
    while True:
        await asyncio.sleep(RENEW_SECONDS)
        try:
            renewed = await client.update_message(message.id, message.pop_receipt, visibility_timeout=INVISIBLE_SECONDS)
        except AzureError as error:
            logger.warning("A message's visibility is not renewed: %s", type(error).__name__)
        else:
            message.pop_receipt = renewed.pop_receipt
