"""Checks every port before anything starts, so that all conflicts are reported at once, each with a way out."""

from __future__ import annotations

import errno
import os
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from local.loopback.serve import holder_of

if TYPE_CHECKING:
    from collections.abc import Iterable

LOOPBACK = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))


@dataclass(frozen=True, slots=True, kw_only=True)
class PortUse:
    """A port that a run wants: what for, and the flag (and make variable) that choose another."""

    number: int
    purpose: str
    flag: str
    variable: str


class PortTakenError(Exception):
    """Some ports cannot be had; the message names each, who holds it, and what to do."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


def check_ports(uses: Iterable[PortUse]) -> None:
    """PortTakenError with one line a port when any of them cannot be bound on loopback."""
    lines = [line for use in uses if (line := _complaint(use)) is not None]
    if lines:
        raise PortTakenError(lines)


def _complaint(use: PortUse) -> str | None:
    fault = next((fault for family, host in LOOPBACK if (fault := _fault(family, host, use.number)) is not None), None)
    if fault is None:
        return None
    another = f"another port with {use.flag} N (make: {use.variable}=N)."
    if fault == errno.EACCES:
        return f"Port {use.number} ({use.purpose}) needs rights that this user does not have. Choose {another}"
    holder = holder_of(use.number)
    by = f"by {holder}" if holder else "by a program that this user may not look at"
    return f"Port {use.number} ({use.purpose}) is taken {by}. Stop that program, or choose {another}"


def _fault(family: socket.AddressFamily, host: str, port: int) -> int | None:
    """Why the port cannot be had, as an errno, or None; an address family that is switched off does not count."""
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            if os.name == "posix":
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            probe.listen(1)  # with SO_REUSEADDR it is this call that finds some of the conflicts
        # macOS lets one bind 127.0.0.1 beside a listener on every address: only a connection shows it.
        with socket.socket(family, socket.SOCK_STREAM) as caller:
            caller.settimeout(0.2)
            return errno.EADDRINUSE if caller.connect_ex((host, port)) == 0 else None
    except OSError as fault:
        return (
            fault.errno if fault.errno in {errno.EADDRINUSE, errno.EACCES, getattr(errno, "WSAEADDRINUSE", 0)} else None
        )
