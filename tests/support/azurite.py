"""A real Azurite for tests: on ports of its own, with a folder of its own or in memory, gone when the test is done.

Azurite chooses its ports itself (port 0) and prints them, so tests that run side by side cannot meet on one.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from local.azurite import ACCOUNT, ACCOUNT_KEY, GRACE, STOP_SIGNAL, azurite_command, connection_string
from local.config import REPOSITORY
from local.processes.guarded import GUARD
from tests.support.processes import alive

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

START_TIMEOUT = 60.0
ACCOUNTS = (ACCOUNT, *(f"oftests{number:03}" for number in range(511)))
"""What is in one of them is in no other, so that tests of several processes share one Azurite."""

SHARE = 16
"""How many of them one other process gets."""

KEY = "dGVzdHM="
"""Of every account but the first: the environment of a process on Windows has no room for long ones."""

LISTENING = re.compile(r"(Blob|Queue|Table) service is successfully listening at https?://127\.0\.0\.1:(\d+)")


class Azurite:
    """One Azurite that can be stopped and started again on the same data and the same ports, for outage tests.

    Data that is in memory is lost with a stop.
    """

    def __init__(
        self,
        folder: Path,
        *options: str,
        in_memory: bool = False,
        accounts: Sequence[str] = ACCOUNTS,
        pid: int | None = None,
    ) -> None:
        self._folder = folder
        self._location = None if in_memory else folder
        self._options = options
        self._accounts = iter(accounts)
        self._account = next(self._accounts)
        self._log = folder.with_name(f"{folder.name}.log")
        self._process: subprocess.Popen[bytes] | None = None
        self._pid = pid
        self._ports = {"Blob": 0, "Queue": 0, "Table": 0}

    @property
    def connection_string(self) -> str:
        """As the `AzureWebJobsStorage` setting wants it: every endpoint on 127.0.0.1."""
        return self._connection_string(self._account)

    def another_account(self) -> str:
        """Connection string of an account that nobody has used."""
        account = next(self._accounts, None)
        assert account, "all accounts of this process are in use: raise SHARE"
        return self._connection_string(account)

    def share(self) -> dict[str, Any]:
        """What another process needs to use it as `Azurite.shared`, with accounts that it gets alone."""
        accounts = list(islice(self._accounts, SHARE))
        assert accounts, "there are no accounts for so many processes"
        return {"folder": str(self._folder), "accounts": accounts, "pid": self._pid}

    @classmethod
    def shared(cls, given: Mapping[str, Any]) -> Self:
        """The one that another process has launched, once it listens."""
        azurite = cls(Path(given["folder"]), accounts=given["accounts"], pid=given["pid"])
        azurite.wait()
        return azurite

    def _connection_string(self, account: str) -> str:
        blob, queue, table = self._ports.values()
        first = connection_string(table=table, blob=blob, queue=queue)
        return first if account == ACCOUNT else first.replace(ACCOUNT_KEY, KEY).replace(ACCOUNT, account)

    @property
    def table_port(self) -> int:
        return self._ports["Table"]

    def start(self) -> None:
        """Start, and return when it listens."""
        self.launch()
        self.wait()

    def launch(self) -> None:
        """Start its process; the first start takes free ports, later ones the same again."""
        self._folder.mkdir(parents=True, exist_ok=True)
        blob, queue, table = self._ports.values()
        command = azurite_command(REPOSITORY, location=self._location, blob=blob, queue=queue, table=table)
        guard = (sys.executable, "-I", "-S", str(GUARD), STOP_SIGNAL.name, str(GRACE))
        accounts = [f"{name}:{ACCOUNT_KEY if name == ACCOUNT else KEY}" for name in ACCOUNTS]
        with self._log.open("wb") as sink:
            self._process = subprocess.Popen(
                [*guard, *command, *self._options],
                env={**os.environ, "AZURITE_ACCOUNTS": ";".join(accounts)},
                stdin=subprocess.PIPE,
                stdout=sink,
                stderr=sink,
                start_new_session=True,
            )
        self._pid = self._process.pid

    def wait(self) -> None:
        """Return when it listens, with the ports that it took."""
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline:
            found = dict(LISTENING.findall(self._log.read_text("utf-8", errors="replace")))
            if len(found) == len(self._ports):
                self._ports = {name: int(found[name]) for name in self._ports}
                return
            if self._pid is None or not alive(self._pid):
                break
            time.sleep(0.02)
        log = self._log.read_text("utf-8", errors="replace")
        self.stop()
        raise AssertionError(f"Azurite did not start: {log}")

    def stop(self) -> None:
        """Stop so that nothing is lost; doing it twice does no harm."""
        if self._process is None or self._process.stdin is None:
            return
        self._process.stdin.close()
        self._process.wait(GRACE + 5)
        self._process = None


@contextmanager
def running_azurite(folder: Path, *options: str, in_memory: bool = False) -> Generator[Azurite]:
    """An Azurite that keeps its data in `folder`, or in memory, and runs for as long as the context lasts."""
    azurite = Azurite(folder, *options, in_memory=in_memory)
    azurite.start()
    try:
        yield azurite
    finally:
        azurite.stop()
