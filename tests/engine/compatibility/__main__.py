"""Runs real MCP clients against the whole local environment, and compares what happened with what is recorded.

    python -m tests.engine.compatibility [--record] [NAME ...]

`local/suites.py` calls this. docs/clients.md is written from the record.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from local.loopback.tls import ensure_tls

if TYPE_CHECKING:
    from collections.abc import Sequence


VARYING = frozenset({"attempts"})
"""What depends on how busy the machine is."""


def differences(found: dict[str, dict[str, object]], recorded: dict[str, dict[str, object]]) -> list[str]:
    """What is otherwise than recorded, a line each."""
    return [
        f"{client}, {name}: {found[client].get(name)!r}, and {recorded.get(client, {}).get(name)!r} is recorded"
        for client in found
        for name in sorted({*found[client], *recorded.get(client, {})} - VARYING)
        if found[client].get(name) != recorded.get(client, {}).get(name)
    ]


def say(line: str) -> None:
    """A line, at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def main(names: Sequence[str], *, record: bool) -> int:
    """The exit code: 0 when all is as recorded, or was recorded now."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="clients-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        # aiohttp reads the certificates when it is imported, hence the imports right here.
        bundle = str(ensure_tls(folder / "tls").bundle)
        os.environ["SSL_CERT_FILE"] = os.environ["REQUESTS_CA_BUNDLE"] = bundle
        run = import_module("tests.engine.compatibility.run")
        record_file = import_module("tests.engine.compatibility.record")
        found = await run.everything(folder, names, say)
    say(f"It took {(time.monotonic() - began) / 60:.1f} minutes.")
    faulty = [f"{client}: {seen['fault']}" for client, seen in found.items() if "fault" in seen]
    for line in faulty:
        say(line)
    if record and not faulty:
        record_file.write(found)
        import_module("tests.engine.compatibility.document").write()
        return 0
    changed = differences(found, record_file.read())
    for line in changed:
        say(line)
    say("FAILED: the clients do otherwise than recorded." if changed else "Every client does what is recorded.")
    return 1 if changed else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--record", action="store_true")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    sys.exit(asyncio.run(main(options.names, record=options.record)))
