"""The supervisor with real children: whatever happens to it or to them, none is left over."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from local.config import REPOSITORY
from local.processes.guarded import guarded
from local.processes.supervisor import Service, ServiceEndedError, ServiceError, Supervisor
from tests.support.processes import alive, wait_for_number, wait_until_gone

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(os.name != "posix", reason="sends POSIX signals to its children")

CHILD = """
import os, pathlib, signal, sys, time
name, folder = sys.argv[1], pathlib.Path(sys.argv[2])
def end(number, frame):
    with (folder / "ends").open("a") as ends:
        ends.write(f"{name} {signal.Signals(number).name}\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
signal.signal(signal.SIGINT, end)
print(f"hello from {name}", flush=True)
scratch = folder / f"{name}.new"
scratch.write_text(f"{os.getpid()}\\n")
scratch.rename(folder / f"{name}.pid")
while True:
    time.sleep(0.05)
"""

STUBBORN = CHILD.replace("sys.exit(0)", "pass")

PARENT = f"""
import subprocess, sys
subprocess.Popen([sys.executable, "-c", {STUBBORN!r}, "grandchild", sys.argv[2]])
{CHILD}"""


def service(folder: Path, name: str = "child", *, code: str = CHILD, **options: object) -> Service:
    async def ready() -> bool:
        return (folder / f"{name}.pid").exists()

    chosen: dict[str, object] = {"ready": ready, "start_timeout": 20.0, "grace": 5.0, **options}
    return Service(name=name, command=(sys.executable, "-c", code, name, str(folder)), cwd=folder, **chosen)  # pyright: ignore[reportArgumentType] - the options of one test


def pid_of(folder: Path, name: str = "child") -> int:
    return wait_for_number(folder / f"{name}.pid")


async def test_children_end_in_reverse_order_when_the_context_is_left(tmp_path: Path) -> None:
    async with Supervisor(logs=tmp_path / "logs") as supervisor:
        await supervisor.start(service(tmp_path, "first"))
        await supervisor.start(service(tmp_path, "second"), service(tmp_path, "third"))
        pids = [pid_of(tmp_path, name) for name in ("first", "second", "third")]
        assert all(alive(pid) for pid in pids)
    assert not any(alive(pid) for pid in pids)
    assert (tmp_path / "ends").read_text().splitlines() == ["third SIGTERM", "second SIGTERM", "first SIGTERM"]


async def test_child_gets_the_signal_that_its_service_names(tmp_path: Path) -> None:
    async with Supervisor(logs=tmp_path / "logs") as supervisor:
        await supervisor.start(service(tmp_path, stop_signal=signal.SIGINT))
    assert (tmp_path / "ends").read_text() == "child SIGINT\n"


async def test_child_that_ignores_its_signal_is_killed_after_its_grace(tmp_path: Path) -> None:
    async with Supervisor(logs=tmp_path / "logs") as supervisor:
        await supervisor.start(service(tmp_path, code=STUBBORN, grace=1.0))
        pid = pid_of(tmp_path)
    assert not alive(pid)
    assert (tmp_path / "ends").read_text() == "child SIGTERM\n"


async def test_crash_before_ready_names_the_service_and_shows_its_log(tmp_path: Path) -> None:
    crash = "import sys; print('about to fail'); sys.exit('the disk is full')"
    supervisor = Supervisor(logs=tmp_path / "logs")
    async with supervisor:
        await supervisor.start(service(tmp_path, "steady"))
        pid = pid_of(tmp_path, "steady")
        with pytest.raises(ServiceEndedError, match="the disk is full") as caught:
            await supervisor.start(service(tmp_path, "broken", code=crash))
    assert (caught.value.name, caught.value.exit_code) == ("broken", 1)
    assert str(caught.value).endswith(f"The whole log: {tmp_path / 'logs' / 'broken.log'}")
    assert not alive(pid)


async def test_crash_after_ready_ends_the_work_under_way(tmp_path: Path) -> None:
    cancelled: list[bool] = []

    async def work() -> None:
        try:
            os.kill(pid_of(tmp_path), signal.SIGKILL)
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    async with Supervisor(logs=tmp_path / "logs") as supervisor:
        await supervisor.start(service(tmp_path))
        with pytest.raises(ServiceEndedError, match="exit code 137") as caught:
            await supervisor.watch(work())
    assert caught.value.exit_code == 128 + signal.SIGKILL
    assert cancelled == [True]


async def test_work_that_fails_by_itself_raises_its_own_error(tmp_path: Path) -> None:
    async def work() -> None:
        raise ValueError("mine")

    async with Supervisor(logs=tmp_path / "logs") as supervisor:
        await supervisor.start(service(tmp_path))
        with pytest.raises(ValueError, match="mine"):
            await supervisor.watch(work())


async def test_service_that_is_never_ready_times_out_and_is_ended(tmp_path: Path) -> None:
    async def never() -> bool:
        return False

    async with Supervisor(logs=tmp_path / "logs") as supervisor:
        with pytest.raises(ServiceError, match="child was not ready after 1 s") as caught:
            await supervisor.start(service(tmp_path, ready=never, start_timeout=1.0))
        pid = pid_of(tmp_path)
    assert "hello from child" in str(caught.value)
    assert not alive(pid)


async def test_services_are_reported_one_by_one_as_they_become_ready(tmp_path: Path) -> None:
    reported: list[str] = []

    async def after_the_quick_one() -> bool:
        return reported == ["quick"]

    slow = service(tmp_path, "slow", ready=after_the_quick_one)
    async with Supervisor(logs=tmp_path / "logs") as supervisor:
        await supervisor.start(slow, service(tmp_path, "quick"), on_ready=lambda name, _took: reported.append(name))
    assert reported == ["quick", "slow"]


async def test_probe_that_is_refused_counts_as_not_ready(tmp_path: Path) -> None:
    tries: list[bool] = []

    async def refused_at_first() -> bool:
        tries.append(True)
        if len(tries) < 3:
            raise ConnectionRefusedError
        return True

    async with Supervisor(logs=tmp_path / "logs") as supervisor:
        await supervisor.start(service(tmp_path, ready=refused_at_first))
    assert len(tries) == 3


async def test_log_of_the_run_before_is_kept_beside_the_new_one(tmp_path: Path) -> None:
    for word in ("one", "two", "three"):
        async with Supervisor(logs=tmp_path / "logs") as supervisor:
            (tmp_path / "child.pid").unlink(missing_ok=True)
            await supervisor.start(service(tmp_path, code=CHILD.replace("hello", word)))
    assert (tmp_path / "logs" / "child.log").read_text() == "three from child\n"
    assert (tmp_path / "logs" / "child.previous.log").read_text() == "two from child\n"


async def test_missing_program_is_named(tmp_path: Path) -> None:
    async def never() -> bool:
        return False

    missing = Service(name="gone", command=("/no/such/program",), cwd=tmp_path, ready=never)
    async with Supervisor(logs=tmp_path / "logs") as supervisor:
        with pytest.raises(ServiceEndedError, match="/no/such/program cannot be started"):
            await supervisor.start(missing)


async def test_what_a_child_leaves_behind_is_ended_too(tmp_path: Path) -> None:
    async with Supervisor(logs=tmp_path / "logs") as supervisor:
        await supervisor.start(service(tmp_path, code=PARENT))
        grandchild = pid_of(tmp_path, "grandchild")
    assert wait_until_gone(grandchild)


async def test_cancelling_during_the_stop_still_ends_everything(tmp_path: Path) -> None:
    started = asyncio.Event()

    async def use() -> None:
        async with Supervisor(logs=tmp_path / "logs") as supervisor:
            await supervisor.start(service(tmp_path, code=STUBBORN, grace=1.0))
            started.set()

    task = asyncio.ensure_future(use())
    await started.wait()
    pid = pid_of(tmp_path)
    await asyncio.sleep(0.2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not alive(pid)


# The supervisor's own end: it runs in a process of its own, which the tests end in every way there is.

PROGRAM = textwrap.dedent("""
    import asyncio, os, pathlib, sys
    from local.processes.signals import cancelled_by_signals
    from local.processes.supervisor import Service, Supervisor

    folder, codes = pathlib.Path(sys.argv[1]), {"first": sys.argv[2], "second": sys.argv[3]}

    async def main():
        with cancelled_by_signals() as request:
            try:
                async with Supervisor(logs=folder / "logs") as supervisor:
                    for name, code in codes.items():
                        async def ready(name=name):
                            return (folder / f"{name}.pid").exists()
                        command = (sys.executable, "-c", code, name, str(folder))
                        await supervisor.start(Service(name=name, command=command, cwd=folder, ready=ready, grace=1.0))
                    (folder / "up").write_text(f"{os.getpid()}\\n")
                    await supervisor.watch(asyncio.sleep(60))
            except asyncio.CancelledError:
                print("stopped by", request.received.name, flush=True)

    asyncio.run(main())
""")


def start_program(folder: Path, *, second: str = CHILD) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PROGRAM, str(folder), CHILD, second]
    program = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, start_new_session=True)
    wait_for_number(folder / "up")
    return program


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_ends_every_child_in_order(tmp_path: Path, number: signal.Signals) -> None:
    program = start_program(tmp_path)
    pids = [pid_of(tmp_path, "first"), pid_of(tmp_path, "second")]
    program.send_signal(number)
    out, _ = program.communicate(timeout=20)
    assert out == f"stopped by {number.name}\n"
    assert not any(alive(pid) for pid in pids)
    assert (tmp_path / "ends").read_text().splitlines() == ["second SIGTERM", "first SIGTERM"]


def test_ctrl_c_in_the_terminal_reaches_the_children_only_through_the_supervisor(tmp_path: Path) -> None:
    program = start_program(tmp_path)
    os.killpg(program.pid, signal.SIGINT)
    program.communicate(timeout=20)
    assert "SIGINT" not in (tmp_path / "ends").read_text()


def test_impatient_second_signal_does_not_leave_children_behind(tmp_path: Path) -> None:
    program = start_program(tmp_path, second=STUBBORN)
    pids = [pid_of(tmp_path, "first"), pid_of(tmp_path, "second")]
    for _ in range(3):
        program.send_signal(signal.SIGINT)
        time.sleep(0.1)
    program.communicate(timeout=20)
    assert not any(alive(pid) for pid in pids)


@pytest.mark.parametrize("second", [CHILD, STUBBORN], ids=["polite", "stubborn"])
def test_no_child_outlives_a_supervisor_that_is_killed(tmp_path: Path, second: str) -> None:
    program = start_program(tmp_path, second=second)
    pids = [pid_of(tmp_path, "first"), pid_of(tmp_path, "second")]
    program.kill()
    program.communicate(timeout=20)
    assert wait_until_gone(*pids)
    assert "first SIGTERM" in (tmp_path / "ends").read_text()


def test_grandchildren_do_not_outlive_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    program = start_program(tmp_path, second=PARENT)
    grandchild = pid_of(tmp_path, "grandchild")
    program.kill()
    program.communicate(timeout=20)
    assert wait_until_gone(grandchild)


# The guard by itself.


def under_guard(*command: str) -> subprocess.Popen[bytes]:
    line = guarded(command, stop_signal=signal.SIGTERM, grace=5.0)
    return subprocess.Popen(line, stdin=subprocess.PIPE, start_new_session=True)


@pytest.mark.parametrize(
    ("code", "expected"), [("pass", 0), ("raise SystemExit(3)", 3), ("import os; os.abort()", 134)]
)
def test_guard_ends_with_its_commands_exit_code(code: str, expected: int) -> None:
    with under_guard(sys.executable, "-c", code) as guard:
        assert guard.wait(60) == expected


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_guard_outlives_signals_that_are_not_for_it(tmp_path: Path, number: signal.Signals) -> None:
    with under_guard(sys.executable, "-c", CHILD, "child", str(tmp_path)) as guard:
        pid = pid_of(tmp_path)
        guard.send_signal(number)
        time.sleep(0.2)
        assert guard.poll() is None
        assert alive(pid)
        assert guard.stdin is not None
        guard.stdin.close()
        assert guard.wait(60) == -signal.SIGKILL
    assert not alive(pid)


def test_guard_ends_what_its_command_left_behind_while_its_parent_still_lives(tmp_path: Path) -> None:
    left_behind = tmp_path / "left-behind"
    code = "import subprocess, sys, time; from pathlib import Path; below = subprocess.Popen(sys.argv[2:]); "
    code += "Path(sys.argv[1]).write_text(f'{below.pid}\\n'); time.sleep(300)"
    sleeping = (sys.executable, "-c", "import time; time.sleep(300)")
    with under_guard(sys.executable, "-c", code, str(left_behind), *sleeping) as guard:
        pid = wait_for_number(left_behind)
        assert guard.stdin is not None
        guard.stdin.close()
        guard.wait(60)
    assert wait_until_gone(pid)


def test_guard_starts_its_command_with_default_signal_handling(tmp_path: Path) -> None:
    ignored = "signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGHUP)"
    code = f"import signal; raise SystemExit(({ignored}) != (signal.SIG_DFL, signal.SIG_DFL))"
    with under_guard(sys.executable, "-c", code) as guard:
        assert guard.wait(60) == 0


async def test_guard_that_is_killed_takes_its_command_along(tmp_path: Path) -> None:
    async with Supervisor(logs=tmp_path / "logs") as supervisor:
        await supervisor.start(service(tmp_path))
        pid = pid_of(tmp_path)
        parent = psutil.Process(pid).ppid()
        os.kill(parent, signal.SIGKILL)
        with pytest.raises(ServiceEndedError):
            await supervisor.watch(asyncio.sleep(10))
    assert wait_until_gone(pid)
