"""HTTP clients for Entra ID and the APIs behind the tools. All trust the same certificates, which are read once."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import httpx2

if TYPE_CHECKING:
    import ssl


def http_client(*, timeout: float | httpx2.Timeout, base_url: str = "") -> httpx2.AsyncClient:
    """Returns a client, which its caller closes; `timeout` is in seconds, for each step of a request."""
    return httpx2.AsyncClient(timeout=timeout, base_url=base_url, verify=_trusted())


@cache
def _trusted() -> ssl.SSLContext:
    """The certificates of `SSL_CERT_FILE`, or those that certifi ships: parsing them takes 25 ms of a cold start."""
    return httpx2.create_ssl_context()
