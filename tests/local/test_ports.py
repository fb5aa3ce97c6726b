"""The check of the ports: every conflict at once, who is to blame, and the way out."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from local.config import LocalConfig, Ports
from local.processes.ports import PortsTakenError, PortUse, check_ports
from local.services import port_uses
from tests.support.ports import free_ports


def use(number: int, name: str = "first") -> PortUse:
    return PortUse(number=number, purpose=f"{name} service", flag=f"--{name}-port", variable=f"{name.upper()}_PORT")


def test_free_ports_pass() -> None:
    check_ports(use(port) for port in free_ports(3))


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])  # noqa: S104 - what others may do
def test_taken_port_is_told_with_its_holder_and_the_flag(host: str) -> None:
    with socket.create_server((host, 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(PortsTakenError) as caught:
            check_ports([use(port)])
    line = str(caught.value)
    assert f"Port {port} (first service) is taken by " in line
    assert f"(pid {os.getpid()}, in {Path.cwd()}). Stop that program, or choose another port with" in line
    assert "--first-port N (make: FIRST_PORT=N)" in line


@pytest.mark.skipif(not socket.has_ipv6, reason="there is no IPv6")
def test_port_taken_on_ipv6_only_counts_because_browsers_try_it_for_localhost() -> None:
    (port,) = free_ports(1)
    with (
        socket.create_server(("::1", port), family=socket.AF_INET6),
        pytest.raises(PortsTakenError, match=str(port)),
    ):
        check_ports([use(port)])


def test_every_taken_port_is_told_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        taken = [one.getsockname()[1], two.getsockname()[1]]
        with pytest.raises(PortsTakenError) as caught:
            check_ports([use(taken[0]), use(free_ports(1)[0], "second"), use(taken[1], "third")])
    assert [line.split()[1] for line in str(caught.value).splitlines()] == [str(port) for port in taken]
    assert "--third-port" in str(caught.value)


def test_port_of_a_connection_that_just_ended_is_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            accepted, _ = server.accept()
            accepted.close()  # the side that closes first keeps the port in TIME_WAIT
    check_ports([use(port)])


def test_every_port_of_a_run_is_looked_at_with_a_flag_of_its_own() -> None:
    ports = Ports(functions=1, blob=2, queue=3, table=4, entra=5, sign_in=6, vault=7)
    uses = port_uses(LocalConfig(ports=ports), functions=True)
    assert sorted(one.number for one in uses) == [1, 2, 3, 4, 5, 6, 7]
    assert len({one.flag for one in uses}) == len({one.variable for one in uses}) == 7
    assert {one.number for one in port_uses(LocalConfig(ports=ports), functions=False)} == {2, 3, 4, 5, 6, 7}
