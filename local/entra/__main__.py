"""Run the Entra ID stand-in: `python -m local.entra --help`."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from local.client_secret import client_secret_in
from local.config import CLIENT_ID, REPOSITORY, TENANT_ID, LocalConfig
from local.directory import FILE, DirectoryError, load_directory
from local.entra.app import build
from local.entra.registration import Registration
from local.entra.state import State
from local.exit_codes import USAGE
from local.loopback.serve import Listener, PortTakenError, announce, bind, serve
from local.loopback.tls import ensure_tls

if TYPE_CHECKING:
    from collections.abc import Sequence


def _parser() -> argparse.ArgumentParser:
    config = LocalConfig()
    parser = argparse.ArgumentParser(
        prog="python -m local.entra",
        description="Stand-in for Microsoft Entra ID, its managed identity endpoint and Microsoft Graph.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--port", type=int, default=config.ports.entra, help="https port; 0 takes a free one")
    add("--sign-in-port", type=int, default=config.ports.sign_in, help="plain http port of the sign-in page")
    add("--state", type=Path, default=config.home / "entra", metavar="DIR", help="folder of the database")
    add("--tls", type=Path, default=config.tls, metavar="DIR", help="folder of the certificates")
    add("--client-secret-file", type=Path, default=config.client_secret_file, metavar="FILE", help="secret of the app")
    add("--redirect-uri", action="append", metavar="URI", help="redirect URI of the app, as often as needed")
    add("--tenant-id", default=TENANT_ID, help="directory (tenant) id")
    add("--client-id", default=CLIENT_ID, help="application (client) id")
    add("--directory", type=Path, default=REPOSITORY / FILE, metavar="FILE", help="accounts, groups and other APIs")
    add("--identifier-uri", metavar="URI", help="Application ID URI; api://<client id> unless given")
    add("--scopes", type=str.split, default=["access_as_user"], help="scopes of the app, in one argument")
    add("--optional-scopes", type=str.split, default=[], help="further scopes of the app, in one argument")
    add("--additional-scopes", type=str.split, default=[], help="what it asks for besides, in one argument")
    add("--app-roles", type=str.split, default=[], help="app roles that it has itself, in one argument")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal; returns the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    secret = client_secret_in(options.client_secret_file, parser=parser)
    try:
        directory = load_directory(options.directory)
        secure = bind(port=options.port, purpose="Entra stand-in", flag="--port")
        sign_in = bind(port=options.sign_in_port, purpose="sign-in page", flag="--sign-in-port")
    except DirectoryError as error:
        parser.exit(USAGE, f"{error}\n")
    except PortTakenError as error:
        parser.exit(error.exit_code, f"{error}\n")
    authority = f"127.0.0.1:{secure.port}"
    with closing(State(options.state / "entra.sqlite3")) as state:
        state.purge(now=time.time())
        state.add_secret(secret, revive=False)
        apps = build(
            authority=authority,
            registration=Registration(
                client_id=options.client_id,
                tenant_id=options.tenant_id,
                identifier_uri=options.identifier_uri or f"api://{options.client_id}",
                redirect_uris=tuple(options.redirect_uri or [f"{LocalConfig().base_url}/auth/callback"]),
                scopes=frozenset((*options.scopes, *options.optional_scopes)),
                app_roles=tuple(options.app_roles),
            ),
            directory=directory,
            additional_scopes=options.additional_scopes,
            state=state,
            clock=time.time,
        )
        listeners = [
            Listener(binding=secure, app=apps.secure, tls=ensure_tls(options.tls).server),
            Listener(binding=sign_in, app=apps.sign_in),
        ]
        addresses = {"entra": f"https://{authority}", "sign_in": f"http://localhost:{sign_in.port}"}
        return asyncio.run(serve(listeners, ready=lambda: announce(**addresses)))


if __name__ == "__main__":
    sys.exit(main())
