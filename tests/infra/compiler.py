"""The Bicep compiler as one process that answers every question: its start takes longer than an answer."""

from __future__ import annotations

import json
import shutil
import subprocess
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

from tests.infra.snapshots import METADATA

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

MISSING = (
    "bicep is not on PATH. Install the version that .github/workflows/ci.yml names, with "
    "`az bicep install --version <version>`, and put ~/.azure/bin on PATH."
)


class Compiler:
    """`bicep jsonrpc`: JSON-RPC 2.0, each message after a header with its length."""

    def __init__(self, questions: IO[bytes], answers: IO[bytes]) -> None:
        self._questions = questions
        self._answers = answers

    def snapshot(self, parameters: Path) -> dict[str, Any]:
        """`result` with the snapshot as text, or `error` with a message."""
        asked = {"path": str(parameters), "metadata": METADATA, "externalInputs": None}
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "bicep/getSnapshot", "params": asked}).encode()
        self._questions.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        self._questions.flush()
        length = 0
        while header := self._answers.readline().strip():
            length = int(header.partition(b":")[2])
        return json.loads(self._answers.read(length))


def command(*arguments: str) -> list[str]:
    """Raises FileNotFoundError where there is no compiler."""
    if shutil.which("bicep") is None:
        raise FileNotFoundError(MISSING)
    return ["bicep", *arguments]


@contextmanager
def running_compiler() -> Generator[Compiler]:
    with subprocess.Popen(command("jsonrpc", "--stdio"), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield Compiler(process.stdin, process.stdout)
        finally:
            process.kill()
