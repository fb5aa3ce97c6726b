"""Checks every port before anything starts, so that all conflicts are reported at once, each with a way out."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from local.loopback import serve

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True, kw_only=True)
class PortUse:
    """A port that a run wants: what for, and the flag (and make variable) that choose another."""

    number: int
    purpose: str
    flag: str
    variable: str


class PortsTakenError(Exception):
    """Some ports cannot be had; the message has a line for each, with who holds it, and what to do."""


def check_ports(uses: Iterable[PortUse]) -> None:
    """PortsTakenError with one line a port when any of them cannot be bound on loopback."""
    lines = [line for use in uses if (line := _complaint(use)) is not None]
    if lines:
        raise PortsTakenError("\n".join(lines))


def _complaint(use: PortUse) -> str | None:
    flag = f"{use.flag} N (make: {use.variable}=N)"
    try:
        serve.bind(port=use.number, purpose=use.purpose, flag=flag).close()
    except PermissionError:
        needs = "needs rights that this user does not have"
        return f"Port {use.number} ({use.purpose}) {needs}. Choose another port with {flag}."
    except serve.PortTakenError as fault:
        return str(fault)
    # macOS lets one listen beside a program that listens on every address: only a connection shows that one.
    if any(_answers(host, use.number) for host in ("127.0.0.1", "::1")):
        return str(serve.PortTakenError(port=use.number, purpose=use.purpose, flag=flag))
    return None


def _answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=0.2).close()
    except OSError:
        return False
    return True
