"""Run the receiver of traces and metrics: `python -m local.traces --help`."""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import TYPE_CHECKING

from local.config import LocalConfig
from local.loopback.serve import Listener, PortTakenError, announce, bind, serve
from local.traces.app import Traces

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m local.traces",
        description="Receives traces and metrics over OTLP/HTTP, on loopback, and shows them in a browser.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--port", type=int, default=LocalConfig().ports.traces, help="port; 0 takes a free one")
    options = parser.parse_args(arguments)
    try:
        binding = bind(port=options.port, purpose="traces", flag="--port")
    except PortTakenError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    listener = Listener(binding=binding, app=Traces().app())
    return asyncio.run(serve([listener], ready=lambda: announce(traces=f"http://localhost:{binding.port}")))


if __name__ == "__main__":
    sys.exit(main())
