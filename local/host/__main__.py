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
from local.host.settings_files import HostConfig, environment, read_host_config, read_local_settings
from local.host.state import AppState, Broken, Running
from local.host.strict import OPTIONS
from local.host.watch import watch
from local.loopback.serve import Binding, Listener, PortTakenError, announce, bind, serve

if TYPE_CHECKING:
    from collections.abc import Mapping


def main() -> int:
    arguments = _arguments()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    logging.getLogger("azure").setLevel(logging.WARNING)
    host = _Host(arguments)
    try:
        host.read()
        asyncio.run(host.serve(bind(port=arguments.port, purpose="Functions host", flag="--port")))
    except (HostError, PortTakenError) as error:
        print(error, file=sys.stderr)  # noqa: T201 - the last words, where a supervisor looks for them
        return error.exit_code
    return 0


class _Host:
    """The parts of this program, and what the command line says of them."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._app: Path = arguments.app.resolve()
        self._settings: Path | None = arguments.settings and arguments.settings.resolve()
        self._watched: bool = arguments.watch
        self._address = ""

    def read(self) -> tuple[HostConfig, dict[str, str]]:
        values = read_local_settings(self._settings or self._app / "local.settings.json", required=bool(self._settings))
        return read_host_config(self._app), values

    async def serve(self, binding: Binding) -> None:
        """Until a signal or a fault ends it; raises AppBrokenError."""
        self._address = f"localhost:{binding.port}"
        state = AppState(app=self._app, configure=self._configure, watched=self._watched)
        work = [state.run(), self._announce(state), *([watch(self._app, state.restart)] if self._watched else [])]
        tasks = [asyncio.create_task(each) for each in work]
        first_fault = asyncio.gather(*tasks)
        await serve([Listener(binding=binding, app=Front(state), options=OPTIONS)], until=first_fault)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        with contextlib.suppress(asyncio.CancelledError):
            await first_fault

    def _configure(self) -> tuple[HostConfig, Mapping[str, str]]:
        config, values = self.read()
        return config, environment(values, host_name=self._address, watched=self._watched)

    async def _announce(self, state: AppState) -> None:
        settled = await state.settled()
        if isinstance(settled, Broken) and not self._watched:
            return  # the host is about to end
        announce(url=f"http://{self._address}", state="Running" if isinstance(settled, Running) else "Error")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local.host", description=__doc__)
    parser.add_argument("--app", type=Path, default=Path(), help="folder of the function app (default: this folder)")
    parser.add_argument("--port", type=int, default=7071, help="0 for any free one (default: %(default)s)")
    parser.add_argument("--settings", type=Path, help="default: local.settings.json in the app folder, if it exists")
    parser.add_argument("--watch", action="store_true", help="restart the app when its .py or .json files change")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
