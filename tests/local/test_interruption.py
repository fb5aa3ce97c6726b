"""An interrupted set-up or test run ends all that it started, whoever interrupts it and however."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from local import cli
from local.config import REPOSITORY
from local.processes.signals import TerminatedError, raised_by_signals
from local.setup.environment import Environment
from tests.support.processes import alive, wait_for_number, wait_until_gone

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(os.name != "posix", reason="ends processes with POSIX signals")

LONG_COMMAND = """
import os, subprocess, sys
from pathlib import Path
folder = Path(sys.argv[1])
below = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
(folder / "below").write_text(f"{below.pid}\\n")
(folder / "command").write_text(f"{os.getpid()}\\n")
below.wait()
"""

SET_UP = f"""
import sys
from pathlib import Path
from local import cli
from local.progress import run_visibly
folder = Path(sys.argv[1])
command = [sys.executable, "-c", {LONG_COMMAND!r}, str(folder)]
cli.Environment.ensure = lambda self, *, node, dev: run_visibly(command, log=folder / "log", hint="")
sys.exit(cli.main(["setup"]))
"""

TEST_RUN = """
import sys
from pathlib import Path
from local import cli, tasks
root = Path(sys.argv[1])
cli._carry_out = lambda *_: tasks.test(root, ["-n", "2", "-p", "no:cacheprovider"], chromium=None)
sys.exit(cli.main(["test"]))
"""

SLOW_TEST = """
import os, subprocess, sys, time
from pathlib import Path
def test_slow():
    below = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"], start_new_session=True)
    Path("below").write_text(f"{below.pid}\\n")
    Path("command").write_text(f"{os.getpid()}\\n")
    time.sleep(300)
"""


AS_IN_A_TERMINAL = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
"""
"""A shell that runs the tests in the background has them, and all below, ignore this signal."""


def begin(code: str, folder: Path) -> tuple[subprocess.Popen[str], list[int]]:
    """The process and the pids of what it started, two steps down."""
    process = subprocess.Popen(
        [sys.executable, "-c", AS_IN_A_TERMINAL + code, str(folder)],
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    return process, [wait_for_number(folder / name) for name in ("command", "below")]


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGINT, 130),
        (signal.SIGTERM, 128 + signal.SIGTERM),
        (signal.SIGHUP, 128 + signal.SIGHUP),
        (signal.SIGKILL, -signal.SIGKILL),
    ],
)
def test_interrupted_set_up_ends_its_command_and_all_below(tmp_path: Path, number: signal.Signals, code: int) -> None:
    process, pids = begin(SET_UP, tmp_path)
    assert all(alive(pid) for pid in pids)
    process.send_signal(number)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == code, output
    assert wait_until_gone(*pids)
    assert "Traceback" not in output


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_interrupted_test_run_ends_its_workers_and_what_they_started(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "test_it.py").write_text(SLOW_TEST)
    process, pids = begin(TEST_RUN, tmp_path)
    process.send_signal(number)
    output, _ = process.communicate(timeout=100)
    assert process.returncode == 128 + number, output
    assert wait_until_gone(*pids)


@pytest.mark.long
def test_ctrl_c_in_a_terminal_ends_a_test_run(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(SLOW_TEST)
    process, pids = begin(TEST_RUN, tmp_path)
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=100)
    assert process.returncode == 130
    assert wait_until_gone(*pids)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signal_is_raised_where_it_was_not_ignored(number: signal.Signals) -> None:
    with pytest.raises(TerminatedError) as caught, raised_by_signals():
        os.kill(os.getpid(), number)
    assert caught.value.received is number
    assert signal.getsignal(signal.SIGTERM) is not None


def test_ignored_hangup_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with raised_by_signals():
            os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(
    "fault",
    [PermissionError(13, "Permission denied", "/checkout/.local"), OSError(30, "Read-only file system", "/x/.local")],
)
def test_folder_that_cannot_be_written_is_named_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], fault: OSError
) -> None:
    def ensure(_self: Environment, *, node: bool, dev: bool) -> None:
        raise fault

    monkeypatch.setattr(Environment, "ensure", ensure)
    assert cli.main(["setup"]) == 2
    told = capsys.readouterr().err
    assert f"{fault.filename} cannot be written ({fault.strerror})" in told
    assert "--home" in told
