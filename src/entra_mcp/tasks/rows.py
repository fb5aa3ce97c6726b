"""Tasks as rows of the table.

    PartitionKey, RowKey, V0.., C, X, U   as in storage/rows.py; the value is the task, sealed under its id
    T  String   the status, for operators; nothing trusts it
    R  Int32    how many runs there were, for operators

Each change is made on the condition that nobody has changed the row since it was read (etag). So of two runs that end
one task, one writes its end, and the other one learns that it came too late.

A message of the queue names a task and its turn, sealed. Each run that takes the task begins a new turn, so messages of
earlier turns, which the queue may bring at any time, no longer count.

Threat: whoever reads the table and the vault's key can open tasks, and by an unfinished one its caller's tokens. A task
runs without a request, so what it needs is stored: the caller's list, found by tenant and object id, has its id, and
its row has the id of the sign-in, or the token itself. The end of the task, or the purge after it expired, takes both.
"""

from __future__ import annotations

import json
import math
import secrets
import time
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from key_value.aio.errors import CorruptedDataError, DecryptionError

from entra_mcp.errors import EntraMcpError
from entra_mcp.ownership import person_of
from entra_mcp.storage.encryption import MAX_PLAIN_BYTES
from entra_mcp.storage.rows import Address, Row, pack, unpack

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from entra_mcp.storage.encryption import RowCipher
    from entra_mcp.storage.owners import OwnerMarks
    from entra_mcp.storage.table import Table
    from entra_mcp.tasks.wire import Status

TASKS = "mcp-tasks"
RESULTS = "mcp-task-results"
OPEN_TASKS = "mcp-open-tasks"
MESSAGES = "mcp-task-messages"
"""The collection under whose name ids are sealed for the queue; it has no rows."""

MAX_BYTES = MAX_PLAIN_BYTES - 16_384
"""Of a task's row, for what a call or its tool puts there: the rest is for what runs write down of themselves."""

PART_BYTES = MAX_PLAIN_BYTES // 2
"""Of a result that does not fit its task's row, in each row of its own."""

TOO_MUCH = "The task keeps more than a row takes: its arguments, checkpoint, questions, answers and state."

FINAL = frozenset({"completed", "failed", "cancelled"})


class TaskChangedError(EntraMcpError):
    """Somebody else has changed the task, or deleted it."""

    def __init__(self) -> None:
        super().__init__("the task was changed meanwhile")


class TooManyTasksError(EntraMcpError):
    """The caller has as many unfinished tasks as one may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One task. Times are in seconds since 1970."""

    id: str
    tool: str
    version: str | None
    arguments: Mapping[str, Any]
    owner: str
    """Tenant and object id of who called; nobody else finds the task."""
    caller: Mapping[str, str]
    """What the caller's identity is found by when the task runs (callers.py)."""
    created: float
    expires: float
    poll_ms: int
    asks: bool = False
    """Whether the client can show the person a form."""
    status: Status = "working"
    message: str | None = None
    updated: float = 0.0
    turn: str = ""
    """Which messages count: those that were sent since the last run began."""
    running: bool = False
    """Whether a run holds the task until `lease`."""
    lease: float = 0.0
    """Until when no run may take the task."""
    attempts: Mapping[str, int] = field(default_factory=dict[str, int])
    """Runs that did not end the task, by cause."""
    runs: int = 0
    checkpoint: Any = None
    questions: dict[str, Any] | None = None
    answers: Mapping[str, Any] | None = None
    state: str | None = None
    """What a tool that asks gave its client to bring back with the answers."""
    result: dict[str, Any] | None = None
    parts: int = 0
    """How many rows the result is in, when it does not fit this one."""
    error: dict[str, Any] | None = None

    @property
    def is_final(self) -> bool:
        return self.status in FINAL

    @property
    def own_attempts(self) -> Mapping[str, int]:
        """Those that the tool's errors ended, without those that the server or what it depends on ended."""
        return {cause: count for cause, count in self.attempts.items() if cause == "error"}

    def counted(self, cause: str) -> Self:
        """Returns the task with one more attempt of that cause."""
        return replace(self, attempts={**self.attempts, cause: self.attempts.get(cause, 0) + 1})

    def ended(self, status: Status, **details: Any) -> Self:  # noqa: ANN401 - fields of this class
        """Returns the task in its final status, without what only runs need."""
        return replace(
            self,
            status=status,
            arguments={},
            caller={},
            checkpoint=None,
            questions=None,
            answers=None,
            state=None,
            running=False,
            **details,
        )


class Addressed(NamedTuple):
    """What a message is about."""

    task_id: str
    turn: str


@dataclass(frozen=True, slots=True)
class Stored:
    """A task as it was read or written, and the version of its row."""

    task: Task
    etag: str


class TaskRows:
    """Reads and writes tasks; `clock` gives all that deals with them the time, in seconds since 1970."""

    def __init__(
        self, *, table: Table, cipher: RowCipher, marks: OwnerMarks, clock: Callable[[], float] = time.time
    ) -> None:
        self._table = table
        self._cipher = cipher
        self._marks = marks
        self.clock = clock

    async def create(self, task: Task) -> Stored:
        """Writes a new task.

        Raises:
            StorageError: the table is out of reach.
        """
        task = replace(task, updated=self.clock())
        etag = await self._table.insert(self._entity(task))
        if etag is not None:
            return Stored(task, etag)
        # Nobody else knows the id: the answer to the insert was lost, and the row is this one.
        found = await self.read(task.id)
        if found is None:
            raise TaskChangedError
        return found

    def has_room(self, task: Task) -> bool:
        """Whether a row holds all that the task keeps."""
        return len(_plain(task)) <= MAX_BYTES

    async def read(self, task_id: str) -> Stored | None:
        """Returns the task, or None when there is none, or none any more."""
        plain, etag = await self._open(TASKS, task_id)
        if plain is None:
            return None
        task = Task(**json.loads(plain))
        return None if task.expires <= self.clock() else Stored(task, etag)

    async def write(self, stored: Stored, task: Task) -> Stored:
        """Writes the task if its row is still the one that was read.

        Raises:
            TaskChangedError: it is not. After a lost answer that can be this very write; `read` shows it.
            StorageError: whether it was written is not known.
        """
        task = replace(task, updated=self.clock())
        etag = await self._table.replace_unchanged(self._entity(task), etag=stored.etag)
        if etag is None:
            raise TaskChangedError
        return Stored(task, etag)

    async def write_result(self, task: Task, result: bytes) -> int:
        """Writes a result that does not fit its task's row; returns in how many rows, which is 0 for one that fits.

        Raises:
            StorageError: the table is out of reach.
        """
        if len(result) <= PART_BYTES:
            return 0
        starts = range(0, len(result), PART_BYTES)
        for number, start in enumerate(starts):
            sealed = self._sealed(task, RESULTS, _part_key(task, number), result[start : start + PART_BYTES])
            await self._table.replace(sealed | {"U": self._mark(task)})
        return len(starts)

    async def result(self, task: Task) -> dict[str, Any]:
        """Returns the result of a completed task.

        Raises:
            TaskChangedError: a part of it is missing.
        """
        if not task.parts:
            return task.result or {}
        parts = [(await self._open(RESULTS, _part_key(task, number)))[0] for number in range(task.parts)]
        if None in parts:
            raise TaskChangedError
        return json.loads(b"".join(part for part in parts if part is not None))

    async def admit(self, task: Task, *, limit: int) -> None:
        """Notes the task, whose row is written, among its caller's unfinished ones.

        Only a task with a row is noted, and one that has ended never goes on. So where `limit` of them are found
        unfinished, one after the other, they all were when the list was read.

        Raises:
            TooManyTasksError: there are `limit` of them.
            StorageError: whether it was noted is not known.
        """
        while True:
            plain, etag = await self._open(OPEN_TASKS, task.owner)
            known: list[str] = [] if plain is None else json.loads(plain)
            if task.id in known:
                return  # The answer to the write was lost.
            if len(known) >= limit:
                known = [each for each in known if await self._is_open(each)]
            if len(known) >= limit:
                raise TooManyTasksError(f"The caller has {limit} unfinished tasks.")
            listed = self._sealed(task, OPEN_TASKS, task.owner, json.dumps([*known, task.id]).encode())
            if await (self._table.replace_unchanged(listed, etag=etag) if etag else self._table.insert(listed)):
                return

    async def withdraw(self, stored: Stored) -> bool:
        """Deletes a task whose id nobody was given; returns False when a run has it already.

        Raises:
            StorageError: whether it was deleted is not known.
        """
        address = Address.of(TASKS, stored.task.id)
        deleted = await self._table.delete(address.partition, address.row, etag=stored.etag)
        return deleted or await self.read(stored.task.id) is None

    def message(self, task: Task) -> bytes:
        """Returns what a queue message about the task holds; only this server's keys open it."""
        return self._cipher.seal(f"{task.id} {task.turn}".encode(), collection=MESSAGES, key="", expires=None)

    async def addressed(self, message: bytes) -> Addressed | None:
        """Returns what a message is about, or None when it is no message of this server."""
        try:
            plain = await self._cipher.unseal(message, collection=MESSAGES, key="", expires=None)
        except (CorruptedDataError, DecryptionError):
            return None
        return Addressed(*plain.decode().partition(" ")[::2])

    async def _is_open(self, task_id: str) -> bool:
        found = await self.read(task_id)
        return found is not None and not found.task.is_final

    async def _open(self, collection: str, key: str) -> tuple[bytes | None, str]:
        """The value of a row and its etag: None if it cannot be opened, and no etag if there is no row."""
        address = Address.of(collection, key)
        entity = await self._table.read(address.partition, address.row)
        if entity is None:
            return None, ""
        etag = str(entity.metadata["etag"])
        try:
            row = unpack(entity)
            return await self._cipher.unseal(row.sealed, collection=collection, key=key, expires=row.expires), etag
        except (CorruptedDataError, DecryptionError):
            return None, etag

    def _sealed(self, task: Task, collection: str, key: str, plain: bytes) -> dict[str, Any]:
        """A row with the value, which expires with the task."""
        expires = math.ceil(task.expires * 1000)
        sealed = self._cipher.seal(plain, collection=collection, key=key, expires=expires)
        created = int(self.clock() * 1000)
        return pack(Address.of(collection, key), Row(sealed=sealed, created=created, expires=expires))

    def _entity(self, task: Task) -> dict[str, Any]:
        entity = self._sealed(task, TASKS, task.id, _plain(task))
        return entity | {"T": task.status, "R": task.runs, "U": self._mark(task)}

    def _mark(self, task: Task) -> bytes:
        """What `python -m ops revoke` finds the rows of a person by."""
        return self._marks.mark(person_of(task.owner))


def _plain(task: Task) -> bytes:
    return json.dumps(asdict(task), separators=(",", ":")).encode()


def _part_key(task: Task, number: int) -> str:
    """Of the turn too: a run that has lost its task writes over nothing."""
    return f"{task.id}/{task.turn}/{number}"


def new_task_id() -> str:
    """256 random bits: who knows the id still has to be the owner."""
    return secrets.token_urlsafe(32)
