"""The loopback address that a sign-in comes back to, and the browser that it starts in."""

from __future__ import annotations

import asyncio
import os
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Self
from urllib.parse import parse_qsl, urlsplit


class Callback:
    """A web server for one answer; a context manager."""

    def __init__(self) -> None:
        found: dict[str, str] = {}
        done = threading.Event()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                found.update(parse_qsl(urlsplit(self.path).query))
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"You can close this window.")
                if "state" in found or "error" in found:
                    done.set()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
                pass

        self._found, self._done = found, done
        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/callback"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()

    def wait(self) -> dict[str, str]:
        """The parameters that came; blocks until they do."""
        self._done.wait()
        return self._found


async def open_browser(url: str) -> None:
    """Opens the address in the browser of this environment."""
    browser = await asyncio.create_subprocess_exec(os.environ["BROWSER"], url)
    await browser.wait()
