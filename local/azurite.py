"""How Azurite, Microsoft's storage emulator, is started, addressed and stopped."""

from __future__ import annotations

import shutil
import signal
from typing import TYPE_CHECKING

from local.processes.probes import answers
from local.processes.supervisor import Service
from local.progress import CommandError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

ACCOUNT = "devstoreaccount1"
ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Azurite's account and its key are public and the same everywhere: they protect nothing, and are no secret."""

HOST = "127.0.0.1"
"""Never `localhost`: with a port other than 10002 the SDK would take that for the Cosmos DB emulator."""

STOP_SIGNAL = signal.SIGINT
"""Azurite flushes its data on SIGINT; SIGTERM has been seen to lose the latest writes."""

GRACE = 15.0


def azurite_command(root: Path, *, location: Path | None, blob: int, queue: int, table: int) -> tuple[str, ...]:
    """The command line; port 0 takes a free port, which Azurite then prints. No location keeps all in memory.

    Raises:
        CommandError: Node or Azurite is not installed.
    """
    node = shutil.which("node")
    script = root / "node_modules" / "azurite" / "dist" / "src" / "azurite.js"
    if node is None or not script.is_file():
        raise CommandError("Azurite is not installed; `python -m local setup` installs it (it needs Node 20).")
    return (
        *(node, str(script), *(("--location", str(location)) if location else ("--inMemoryPersistence",))),
        *("--blobHost", HOST, "--blobPort", str(blob)),
        *("--queueHost", HOST, "--queuePort", str(queue)),
        *("--tableHost", HOST, "--tablePort", str(table)),
        *("--skipApiVersionCheck", "--disableTelemetry", "--silent"),
    )


def azurite_service(
    root: Path, *, location: Path, blob: int, queue: int, table: int, environment: Mapping[str, str]
) -> Service:
    """Azurite as a child of the supervisor, ready when all three of its services answer a request."""
    location.mkdir(parents=True, exist_ok=True)
    return Service(
        name="azurite",
        command=azurite_command(root, location=location, blob=blob, queue=queue, table=table),
        cwd=location,
        environment=environment,
        ready=answers(*(f"http://{HOST}:{port}/{ACCOUNT}" for port in (blob, queue, table)), status=None),
        stop_signal=STOP_SIGNAL,
        grace=GRACE,
    )


def connection_string(*, blob: int, queue: int, table: int) -> str:
    """A storage connection string with explicit endpoints on 127.0.0.1."""
    services = {"BlobEndpoint": blob, "QueueEndpoint": queue, "TableEndpoint": table}
    endpoints = "".join(f"{name}=http://{HOST}:{port}/{ACCOUNT};" for name, port in services.items())
    return f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={ACCOUNT_KEY};{endpoints}"
