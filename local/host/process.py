"""The host's side of one worker process: start it, run functions in it, end it."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from local.config import REPOSITORY
from local.host import messages
from local.host.messages import Ended, Failed, Function, Invoke, Loaded, Stop
from local.host.upstream import Upstream

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

STOP_SECONDS = 5
LINE_LIMIT = 2**22


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """A function on its way; `ended` resolves to its error, or to None."""

    id: str
    ended: asyncio.Future[str | None]


class WorkerProcess:
    """One child process running one state of the app."""

    def __init__(self, *, app: Path, environment: Mapping[str, str]) -> None:
        self._app = app
        self._environment = environment
        self._invocations: dict[str, asyncio.Future[str | None]] = {}
        self._process: asyncio.subprocess.Process | None = None
        self.upstream: Upstream | None = None

    async def start(self) -> Loaded | Failed:
        """Start the process and wait until the app is indexed."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "local.host.worker", str(self._app)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=LINE_LIMIT,
            cwd=REPOSITORY,
            env=self._environment,
        )
        match await self._next_message():
            case Loaded() as loaded:
                if loaded.http:
                    address = urlsplit(loaded.http)
                    self.upstream = Upstream(host=address.hostname or "", port=address.port or 0)
                return loaded
            case Failed() as failed:
                return failed
            case _:
                return Failed(message=f"The worker process ended with code {await self._process.wait()}.", stack="")

    async def run(self) -> None:
        """Take the worker's answers until it ends."""
        while isinstance(message := await self._next_message(), Ended):
            ended = self._invocations.pop(message.id, None)
            if ended is not None and not ended.done():
                ended.set_result(message.error)
        for ended in self._invocations.values():
            if not ended.done():
                ended.set_result("The worker process has ended.")

    def invoke(
        self, function: Function, *, kind: str, data: str = "", params: Mapping[str, str] | None = None
    ) -> Invocation:
        invocation = Invocation(id=str(uuid.uuid4()), ended=asyncio.get_running_loop().create_future())
        self._invocations[invocation.id] = invocation.ended
        self._tell(
            Invoke(
                id=invocation.id,
                function_id=function.id,
                binding=str(function.trigger["name"]),
                kind=kind,
                data=data,
                params=dict(params or {}),
            )
        )
        return invocation

    async def stop(self) -> None:
        """End the process, in good order if it lets itself be ended that way."""
        if self.upstream:
            self.upstream.close()
        process = self._process
        if process is None or process.returncode is not None:
            return
        self._tell(Stop())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), STOP_SECONDS)
            return
        process.kill()
        await process.wait()

    def _tell(self, message: messages.Message) -> None:
        if self._process and self._process.stdin and not self._process.stdin.is_closing():
            self._process.stdin.write(messages.encode(message))

    async def _next_message(self) -> messages.Message | None:
        if self._process is None or self._process.stdout is None:
            return None
        line = await self._process.stdout.readline()
        return messages.decode(line) if line else None
