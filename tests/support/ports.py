"""Free TCP ports for processes that cannot choose one themselves."""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack


def free_ports(count: int) -> list[int]:
    """Ports that are free on 127.0.0.1 and ::1 now, from a range of this test worker's own.

    They are below the ephemeral ports, from which the system serves everybody who binds port 0, and workers that run
    side by side look in different ranges: so nobody takes one between this call and the start of the process.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw") or 0)
    start = 11000 + (worker % 32) * 600
    offset = os.getpid() * 7 % 600
    found: list[int] = []
    for step in range(600):
        port = start + (offset + step) % 600
        if port not in _GIVEN and _is_free(port):
            found.append(port)
            _GIVEN.add(port)
            if len(found) == count:
                return found
    raise AssertionError("no free ports are left in the range of this test worker")


_GIVEN: set[int] = set()


def _is_free(port: int) -> bool:
    with ExitStack() as held:
        for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            try:
                probe = held.enter_context(socket.socket(family))
            except OSError:
                continue
            try:
                probe.bind((host, port))
            except OSError:
                return family == socket.AF_INET6 and not socket.has_ipv6
    return True
