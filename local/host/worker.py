"""The worker process: one function app on Microsoft's runtime, with its orders on stdin.

    python -m local.host.worker APP_FOLDER

It is a process of its own, as in Azure, so that a restart leaves nothing of the app behind.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
from contextlib import suppress
from contextvars import ContextVar
from pathlib import Path
from typing import BinaryIO, cast, override

from local.config import REPOSITORY
from local.host import messages
from local.host.messages import Ended, Failed, Invoke, Logged
from local.host.runtime import HOST, Runtime

SERVER_START_SECONDS = 20

_invocation: ContextVar[str | None] = ContextVar("invocation", default=None)


def main() -> None:
    # Both reach every process of a terminal or a group; when to end is the host's decision, and its end is ours.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # stdin and stdout are the host's; what the app prints goes to stderr.
    commands, host = os.fdopen(os.dup(0), "rb"), _Host(os.fdopen(os.dup(1), "wb", buffering=0))
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    logging.basicConfig(level=logging.INFO, handlers=[host])
    # The runtime reports every step of every request at INFO, and indexing errors that the host prints itself.
    logging.getLogger("azure.functions").setLevel(logging.CRITICAL)
    logging.getLogger("azure.core").setLevel(logging.WARNING)  # its INFO lines hold request URLs
    folder = Path(sys.argv[1])
    os.chdir(folder)
    _forget_repository(folder)
    # A cancelled main task still runs to its end here, and all that is left on the loop is cancelled with it: the
    # app's lifespan is left that way too.
    asyncio.run(_serve(folder, commands, host))


class _Host(logging.Handler):
    """Reports to the host what happens, and each line of the log with its invocation, as the real worker does."""

    def __init__(self, answers: BinaryIO) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter())  # the message and its traceback; the host adds the rest
        self._answers = answers
        self._turn = threading.Lock()

    def send(self, message: messages.Message) -> None:
        with self._turn, suppress(BrokenPipeError):  # the host is gone; the end of stdin says so as well
            rest = memoryview(messages.encode(message))
            while rest:
                rest = rest[self._answers.write(rest) :]

    @override
    def emit(self, record: logging.LogRecord) -> None:
        self.send(
            Logged(
                invocation=_invocation.get(),
                time=record.created,
                level=record.levelname,
                logger=record.name,
                text=self.format(record),
            )
        )


async def _serve(folder: Path, commands: BinaryIO, host: _Host) -> None:
    runtime = Runtime()
    loaded = await runtime.load(folder)
    if isinstance(loaded, Failed):
        host.send(loaded)
        return
    logging.getLogger("azure.functions").setLevel(logging.WARNING)
    if loaded.port:
        await _wait_for_server(loaded.port)
    incoming = _lines(commands)
    host.send(loaded)
    running: set[asyncio.Task[None]] = set()
    while line := await incoming.get():
        invoke = cast("Invoke", messages.decode(line))
        task = asyncio.create_task(_invoke(runtime, invoke, host))
        running.add(task)
        task.add_done_callback(running.discard)


async def _invoke(runtime: Runtime, invoke: Invoke, host: _Host) -> None:
    _invocation.set(invoke.id)
    host.send(Ended(id=invoke.id, error=await runtime.invoke(invoke)))


async def _wait_for_server(port: int) -> None:
    """The runtime only schedules its server's start; the host must not send before it listens."""
    async with asyncio.timeout(SERVER_START_SECONDS):
        while True:
            with suppress(ConnectionRefusedError):
                _, writer = await asyncio.open_connection(HOST, port)
                writer.close()
                return
            await asyncio.sleep(0.01)


def _forget_repository(folder: Path) -> None:
    """Let the app import only what is deployed with it: neither this package nor what is next to it."""
    if folder.resolve() != REPOSITORY:
        sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != REPOSITORY]
    for name in [name for name in sys.modules if name.split(".")[0] == "local"]:
        del sys.modules[name]  # the modules live on in those that have imported them


def _lines(commands: BinaryIO) -> asyncio.Queue[bytes]:
    """A thread reads, because not every platform's event loop can read a pipe; an empty line is the end."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[bytes] = asyncio.Queue()

    def read() -> None:
        line = b"-"
        while line:
            line = commands.readline()
            with suppress(RuntimeError):  # the loop is closed: nobody waits for more
                loop.call_soon_threadsafe(queue.put_nowait, line)

    threading.Thread(target=read, name="commands", daemon=True).start()
    return queue


if __name__ == "__main__":
    main()
