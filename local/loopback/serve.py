"""Serve ASGI apps on loopback: ports are bound before anything starts, and one signal ends every server.

Threat: what stands in for Azure accepts anybody without a password, so no other machine may ever reach it.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import socket
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import psutil
import uvicorn

from local.processes.signals import handled

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence
    from pathlib import Path

    from starlette.types import ASGIApp

GRACE_SECONDS = 2
_EPHEMERAL_ATTEMPTS = 20


class PortTakenError(Exception):
    """Another process listens on the port; `exit_code` is what this one should end with."""

    exit_code: ClassVar[int] = 3

    def __init__(self, *, port: int, purpose: str, flag: str) -> None:
        holder = holder_of(port) or "a program that this user may not look at"
        way_out = f"Stop that program, or choose another port with {flag}."
        super().__init__(f"Port {port} ({purpose}) is taken by {holder}. {way_out}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """Listening sockets on one port of `localhost`: two where the machine has IPv6."""

    port: int
    sockets: tuple[socket.socket, ...]

    def close(self) -> None:
        for bound in self.sockets:
            bound.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """An app on a binding; `tls` is a PEM file with the key and the chain, or None for plain http.

    `options` are uvicorn's, where they are not the usual ones.
    """

    binding: Binding
    app: ASGIApp
    tls: Path | None = None
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])


def holder_of(port: int) -> str | None:
    """The process that listens on a TCP port, by name, pid and folder, or None when the system does not say.

    The folder shows which of several checkouts it belongs to.
    """
    with contextlib.suppress(psutil.Error):
        for connection in psutil.net_connections(kind="tcp"):
            listens = connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port
            if listens and connection.pid:
                return _described(psutil.Process(connection.pid))
    return None


def bind(*, port: int, purpose: str, flag: str) -> Binding:
    """Listen on a loopback port (0: any free one); raises PortTakenError."""
    # A browser may resolve localhost to either; whoever held the other one would receive its requests.
    addresses = ("127.0.0.1", "::1") if has_ipv6_loopback() else ("127.0.0.1",)
    for _ in range(1 if port else _EPHEMERAL_ATTEMPTS):
        try:
            sockets = _listen(addresses, port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            continue
        return Binding(port=sockets[0].getsockname()[1], sockets=sockets)
    raise PortTakenError(port=port, purpose=purpose, flag=flag)


async def serve(
    listeners: Sequence[Listener],
    *,
    ready: Callable[[], None] | None = None,
    until: asyncio.Future[Any] | None = None,
) -> int:
    """Serve until a signal or the end of `until`, then finish running requests for `GRACE_SECONDS`.

    Returns the exit code. `ready` is called once, when every listener accepts requests.
    """
    servers = [_Server(_config(listener)) for listener in listeners]

    def stop(*_: object) -> None:
        for server in servers:
            server.should_exit = True

    if until is not None:
        until.add_done_callback(stop)
    # Those by which people and supervisors end programs; the last is of Windows.
    with handled(stop, "SIGINT", "SIGTERM", "SIGBREAK"):
        async with asyncio.TaskGroup() as group:
            for server, listener in zip(servers, listeners, strict=True):
                group.create_task(server.serve(sockets=list(listener.binding.sockets)))
            if await _started(servers) and ready:
                ready()
    return 0


def announce(**addresses: str) -> None:
    """Report to a supervisor on stdout, in one JSON line, that the process is ready and where it listens."""
    sys.stdout.write(json.dumps({"ready": addresses}) + "\n")
    sys.stdout.flush()


def _described(process: psutil.Process) -> str:
    folder = ""
    with contextlib.suppress(psutil.Error):  # some systems show the folder to the owner alone
        folder = f", in {process.cwd()}"
    return f"{process.name()} (pid {process.pid}{folder})"


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave signals alone: each server of a process would otherwise take them from the others."""
        yield


def _config(listener: Listener) -> uvicorn.Config:
    options: dict[str, Any] = {
        "lifespan": "off",
        "access_log": False,
        "server_header": False,
        "log_level": "warning",
        "timeout_graceful_shutdown": GRACE_SECONDS,
        **listener.options,
    }
    if listener.tls:
        options |= {"ssl_certfile": str(listener.tls), "ssl_keyfile": str(listener.tls)}
    return uvicorn.Config(listener.app, **options)


async def _started(servers: Sequence[uvicorn.Server]) -> bool:
    while not all(server.started for server in servers):
        if any(server.should_exit for server in servers):
            return False
        await asyncio.sleep(0.01)
    return True


def has_ipv6_loopback() -> bool:
    """Whether this machine has `::1`."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def _listen(addresses: Sequence[str], port: int) -> tuple[socket.socket, ...]:
    sockets: list[socket.socket] = []
    with contextlib.ExitStack() as opened:
        for address in addresses:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            # asyncio sets TCP_NODELAY only where the protocol is named; without it a response waits 40 ms for an ACK.
            bound = opened.enter_context(socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP))
            sockets.append(bound)
            if sys.platform == "win32":
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
            else:
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if bound.family == socket.AF_INET6:
                bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            bound.bind((address, port))
            bound.listen(2048)  # with SO_REUSEADDR only listen, not bind, finds out that a port is taken
            bound.setblocking(False)
            port = bound.getsockname()[1]
        opened.pop_all()
    return tuple(sockets)
