"""Run the Key Vault stand-in: `python -m local.vault --help`."""

from __future__ import annotations

import argparse
import asyncio
import base64
import secrets
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from local.client_secret import client_secret_in
from local.config import TENANT_ID, LocalConfig
from local.loopback.serve import Listener, PortTakenError, announce, bind, serve
from local.loopback.tls import ensure_tls
from local.vault.app import Vault
from local.vault.bearer import BearerCheck
from local.vault.state import VaultState

if TYPE_CHECKING:
    from collections.abc import Sequence


def _parser() -> argparse.ArgumentParser:
    config = LocalConfig()
    parser = argparse.ArgumentParser(
        prog="python -m local.vault",
        description="A stand-in for Azure Key Vault's secrets, on loopback.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--port", type=int, default=config.ports.vault, help="https port; 0 takes a free one")
    add("--state", type=Path, default=config.home / "vault", metavar="DIR", help="folder of the database")
    add("--tls", type=Path, default=config.tls, metavar="DIR", help="folder of the certificates")
    add("--client-secret-file", type=Path, default=config.client_secret_file, metavar="FILE", help="secret of the app")
    add("--authority", default=config.entra_authority, metavar="HOST:PORT", help="the Entra stand-in")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal; returns the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    secret = client_secret_in(options.client_secret_file, parser=parser)
    try:
        binding = bind(port=options.port, purpose="Key Vault stand-in", flag="--port")
    except PortTakenError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    tls = ensure_tls(options.tls)
    with closing(VaultState(options.state / "vault.sqlite3", clock=time.time)) as state:
        state.seed("jwt-signing-key", base64.b64encode(secrets.token_bytes(32)).decode())
        state.seed("entra-client-secret", secret)
        bearer = BearerCheck(authority=options.authority, tenant_id=TENANT_ID, ca=tls.ca)
        listener = Listener(binding=binding, app=Vault(state=state, bearer=bearer).app(), tls=tls.server)
        return asyncio.run(serve([listener], ready=lambda: announce(vault=f"https://127.0.0.1:{binding.port}")))


if __name__ == "__main__":
    sys.exit(main())
