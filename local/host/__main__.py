"""Runs a function app on this machine: `python -m local.host --app FOLDER`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from local.host.errors import HostError
from local.host.server import Front
from local.host.settings_files import environment, read_host_config, read_local_settings
from local.host.state import AppState, Running
from local.host.strict import OPTIONS
from local.host.watch import watch
from local.loopback.serve import Binding, Listener, PortTakenError, announce, bind, serve

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.host.settings_files import HostConfig


def main() -> int:
    arguments = _arguments()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    logging.getLogger("azure").setLevel(logging.WARNING)
    app: Path = arguments.app.resolve()
    named: Path | None = arguments.settings and arguments.settings.resolve()
    try:
        binding = bind(port=arguments.port, purpose="Functions host", flag="--port")

        def configure() -> tuple[HostConfig, Mapping[str, str]]:
            values = read_local_settings(named or app / "local.settings.json", required=named is not None)
            host_name = f"localhost:{binding.port}"
            return read_host_config(app), environment(values, host_name=host_name, watched=arguments.watch)

        configure()  # a file that cannot be used ends the host before it begins
        state = AppState(app=app, port=binding.port, configure=configure, watched=arguments.watch)
        asyncio.run(_serve(state, binding, watched=app if arguments.watch else None, settings=named))
    except (HostError, PortTakenError) as error:
        print(error, file=sys.stderr)  # noqa: T201 - the last words, where a supervisor looks for them
        return error.exit_code
    return 0


async def _serve(state: AppState, binding: Binding, *, watched: Path | None, settings: Path | None) -> None:
    """Until a signal or a fault ends it; raises AppBrokenError."""
    work = [state.run(), _announce(state, binding.port)]
    if watched:
        work.append(watch(watched, state.restart, also=settings))
    tasks = [asyncio.create_task(each) for each in work]
    first_fault = asyncio.gather(*tasks)
    await serve([Listener(binding=binding, app=Front(state), options=OPTIONS)], until=first_fault)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    with contextlib.suppress(asyncio.CancelledError):
        await first_fault


async def _announce(state: AppState, port: int) -> None:
    while (settled := await state.settled()) is None:
        pass  # whoever started the host decides how long that may take
    if not isinstance(settled, Running) and not state.watched:
        return  # the host is about to end
    announce(url=f"http://localhost:{port}", state="Running" if isinstance(settled, Running) else "Error")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local.host", description=__doc__)
    parser.add_argument("--app", type=Path, default=Path(), help="folder of the function app (default: this folder)")
    parser.add_argument("--port", type=int, default=7071, help="0 for any free one (default: %(default)s)")
    parser.add_argument("--settings", type=Path, help="default: local.settings.json in the app folder, if it exists")
    parser.add_argument("--watch", action="store_true", help="restart the app when its .py or .json files change")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
