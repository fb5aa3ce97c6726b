"""Runs one command and ends it when standard input closes: `guard.py SIGNAL GRACE COMMAND...`.

The supervisor holds the other end of that pipe. It closes it to stop the command, and the operating system closes it
when the supervisor dies, even by SIGKILL, so nothing is left running. This needs nothing of the command (Azurite is
Node, Core Tools is .NET) and works alike on Linux, macOS and Windows. The standard library only: it starts in 20 ms.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

CANNOT_START = 127


def main(arguments: list[str]) -> int:
    """Run the command to its end; its exit code, or 128 + the signal that ended it.

    Once its input has closed, it ends by SIGKILL instead, with all that the command left behind.
    """
    stop_signal, grace, command = signal.Signals[arguments[0]], float(arguments[1]), arguments[2:]
    # A handler, not SIG_IGN: what is ignored stays ignored in the child. The guard outlives its child, always.
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), _outlive)
    try:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    except OSError as fault:
        sys.stderr.write(f"{command[0]} cannot be started: {fault.strerror}\n")
        return CANNOT_START
    ended, input_closed = threading.Event(), threading.Event()

    def stop_when_input_closes() -> None:
        # os.read, not sys.stdin: while a thread holds a buffer's lock, the interpreter cannot end cleanly.
        while os.read(0, 1024):
            pass
        input_closed.set()
        ask_to_stop(child, stop_signal)
        if not ended.wait(grace):
            child.kill()

    threading.Thread(target=stop_when_input_closes, daemon=True).start()
    exit_code = child.wait()
    ended.set()
    if os.name == "posix" and input_closed.is_set():
        # Not only when the parent is another: one that dies closes its pipes before its children are handed on.
        os.killpg(0, signal.SIGKILL)
    return exit_code if exit_code >= 0 else 128 - exit_code


def _outlive(_number: int, _frame: FrameType | None) -> None:
    """Do nothing: the child has its own way to end, and the guard ends with it."""


def ask_to_stop(child: subprocess.Popen[bytes], stop_signal: signal.Signals) -> None:
    """Send the signal; on Windows Ctrl-C to the console that only the guard and its child share."""
    if sys.platform == "win32":
        os.kill(0, signal.CTRL_C_EVENT)
    else:
        child.send_signal(stop_signal)


if __name__ == "__main__":
    os._exit(main(sys.argv[1:]))
