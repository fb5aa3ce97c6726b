"""Runs a function app on this machine: `python -m local.host --app FOLDER`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

from local.host.admin import Admin
from local.host.errors import AppBrokenError, HostError
from local.host.report import functions_and_addresses
from local.host.server import Front
from local.host.settings_files import HostConfig, environment, read_host_config, read_local_settings
from local.host.state import AppState, Broken, Running
from local.host.strict import OPTIONS
from local.loopback.serve import Binding, ServeError, announce, bind

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

DEFAULT_PORT = 7071
GRACE_SECONDS = 2


def main() -> int:
    arguments = _arguments()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    app: Path = arguments.app.resolve()
    named: Path | None = arguments.settings
    settings_file = named.resolve() if named else app / "local.settings.json"
    try:
        read_host_config(app)
        settings = read_local_settings(settings_file, required=named is not None)
        port = next(choice for choice in (arguments.port, settings.port, DEFAULT_PORT) if choice is not None)
        binding = bind(port=port, purpose="Functions host", flag="--port", host=arguments.bind)
    except (HostError, ServeError) as error:
        print(error, file=sys.stderr)  # noqa: T201 - for the person at the terminal
        return error.exit_code
    host_name = f"[{binding.host}]:{binding.port}" if ":" in binding.host else f"{binding.host}:{binding.port}"

    def configure() -> tuple[HostConfig, Mapping[str, str]]:
        values = read_local_settings(settings_file, required=named is not None)
        return read_host_config(app), environment(
            values, outer=os.environ, host_name=host_name, watched=arguments.watch
        )

    url = f"http://{host_name}"
    try:
        asyncio.run(_serve(app, binding, configure, url=url, watched=arguments.watch, ready_json=arguments.ready_json))
    except AppBrokenError as error:
        print(error, file=sys.stderr)  # noqa: T201 - as above; the last words, where a supervisor looks for them
        return error.exit_code
    return 0


async def _serve(
    app: Path,
    binding: Binding,
    configure: Callable[[], tuple[HostConfig, Mapping[str, str]]],
    *,
    url: str,
    watched: bool,
    ready_json: bool,
) -> None:
    tell = _tell if watched and not ready_json else None
    state = AppState(app=app, configure=configure, watched=watched, tell=tell)
    front = Front(state=state, admin=Admin(state=state))
    server = _Server(
        uvicorn.Config(
            front,
            **OPTIONS,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
    )
    server.end_on_signals()
    running = asyncio.create_task(state.run())
    running.add_done_callback(server.end)
    tasks = [running]
    if watched:
        from local.host.watch import watch  # brings a native watcher that nobody else needs

        watching = asyncio.create_task(watch(app, state.restart))
        watching.add_done_callback(server.end)  # a host that no longer sees changes would mislead
        tasks.append(watching)
    tasks.append(asyncio.create_task(_announce(state, url, watched=watched, ready_json=ready_json)))
    try:
        await server.serve(list(binding.sockets))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.result()  # nothing but a fault of this host ends these with an exception


async def _announce(state: AppState, url: str, *, watched: bool, ready_json: bool) -> None:
    settled = await state.settled()
    if isinstance(settled, Broken) and not watched:
        return  # the host is about to end
    if ready_json:
        name = "Running" if isinstance(settled, Running) else "Error"
        announce(url=url, state=name)
    elif isinstance(settled, Running):
        print(functions_and_addresses(settled.functions, settled.routes, url), flush=True)  # noqa: T201 - as above


def _tell(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - as above


class _Server(uvicorn.Server):
    """Ends on the signals by which people and supervisors end programs, without raising them again."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    def end(self, *_: object) -> None:
        self.should_exit = True

    def end_on_signals(self) -> None:
        for name in ("SIGINT", "SIGTERM", "SIGBREAK"):
            if number := getattr(signal, name, None):
                signal.signal(number, self.end)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local.host", description=__doc__)
    parser.add_argument("--app", type=Path, default=Path(), help="folder of the function app (default: this folder)")
    parser.add_argument("--port", type=int, help=f"0 for any free one (default: Host.LocalHttpPort or {DEFAULT_PORT})")
    parser.add_argument("--bind", default="localhost", help="a loopback name or address (default: localhost)")
    parser.add_argument("--settings", type=Path, help="default: local.settings.json in the app folder, if it exists")
    parser.add_argument("--watch", action="store_true", help="restart the app when its .py or .json files change")
    parser.add_argument("--ready-json", action="store_true", help="print one JSON line to stdout when ready")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
