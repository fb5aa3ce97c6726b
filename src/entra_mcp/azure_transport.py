"""What Azure's SDK sends requests through: connections that many requests to one service share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.request import getproxies

if TYPE_CHECKING:
    from azure.core.pipeline.transport import AsyncHttpTransport

IDLE_SECONDS = 60.0
"""How long a connection is kept that nobody uses, unless the service ends it sooner. aiohttp itself keeps it for 15.

So a call after a short pause waits for its row alone, not for a name server and a handshake too.
"""

TIMEOUT_SECONDS = 30.0
"""Out of the way of the deadlines of those who ask, which count the lag of the process too."""


def azure_transport(*, limit: int = 100) -> AsyncHttpTransport[Any, Any]:
    """Returns a transport of the running event loop, which keeps no cookies; `limit` is of its connections, 0 for none.

    Where no proxy is configured, aiohttp need not look for one, and read `.netrc`, each time. It does the latter in a
    thread of its own; together that was a quarter of what a login cost this process.
    """
    from aiohttp import ClientSession, DummyCookieJar, TCPConnector
    from azure.core.pipeline.transport import AioHttpTransport

    proxied = bool({"http", "https", "all"} & getproxies().keys())
    connections = TCPConnector(keepalive_timeout=IDLE_SECONDS, limit=limit)
    session = ClientSession(
        connector=connections, cookie_jar=DummyCookieJar(), auto_decompress=False, trust_env=proxied
    )
    return AioHttpTransport(
        session=session, use_env_settings=proxied, connection_timeout=TIMEOUT_SECONDS, read_timeout=TIMEOUT_SECONDS
    )
