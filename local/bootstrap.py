"""Creates the files that every local service expects: certificates, and the client secret of the app registration.

Threat: another account of this machine reads the secret; so it is readable by its owner only, from its first byte.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from local.loopback.tls import ensure_tls
from local.private_file import write_private

if TYPE_CHECKING:
    from local.config import LocalConfig


def prepare(config: LocalConfig) -> None:
    """Make what is missing; what is there stays as it is. One process at a time: a run holds the lock of its folder."""
    config.home.mkdir(parents=True, exist_ok=True)
    ensure_tls(config.tls)
    file = config.client_secret_file
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_private(file, secrets.token_urlsafe(30).encode())
