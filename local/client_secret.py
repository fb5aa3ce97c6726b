"""The client secret of the app registration, which the Entra stand-in accepts and the vault stand-in serves.

Threat: another account of this machine reads it; so it is readable by its owner only, from its first byte.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from local.private_file import write_private

if TYPE_CHECKING:
    import argparse
    from pathlib import Path


def ensure_client_secret(file: Path) -> None:
    """Create one unless there is one. One process at a time: a run holds the lock of its folder."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_private(file, secrets.token_urlsafe(30).encode())


def client_secret_in(file: Path, *, parser: argparse.ArgumentParser) -> str:
    """The secret in the file that `--client-secret-file` names; without one the program ends as for wrong usage."""
    try:
        secret = file.read_text().strip()
    except OSError as error:
        parser.error(f"--client-secret-file: {error.strerror}: {file}")
    if not secret:
        parser.error(f"--client-secret-file: {file} is empty")
    return secret
