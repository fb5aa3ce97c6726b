"""Makes the files that every local service expects: certificates, and the client secret of the app registration.

Threat: another account of this machine reads the secret; so it is readable by its owner only, from its first byte.
"""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

from local.loopback.tls import ensure_tls
from local.processes.locks import waiting

if TYPE_CHECKING:
    from pathlib import Path

    from local.config import LocalConfig


def prepare(config: LocalConfig) -> None:
    """Make what is missing; what is there stays as it is, also when several processes prepare at once."""
    config.home.mkdir(parents=True, exist_ok=True)
    ensure_tls(config.tls)
    _ensure_secret(config.client_secret_file)


def _ensure_secret(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with waiting(file.with_name(f"{file.name}.lock")):
        if file.exists():
            return
        scratch = file.with_name(f"{file.name}.new")
        scratch.unlink(missing_ok=True)
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as sink:
            sink.write(secrets.token_urlsafe(30))
            sink.flush()
            os.fsync(sink.fileno())
        scratch.replace(file)
