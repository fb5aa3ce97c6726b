"""HTTP clients for Entra ID and the APIs behind the tools. All trust the same certificates, which are read once.

Threat: all people share a client's connections. A client that keeps cookies, as httpx does, takes the session that an
API has opened for one person along with the request of the next (https://cwe.mitre.org/data/definitions/488.html).
"""

from __future__ import annotations

from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING

import httpx2

if TYPE_CHECKING:
    import ssl


def http_client(*, timeout: float | httpx2.Timeout, base_url: str = "") -> httpx2.AsyncClient:
    """Returns a client, which its caller closes; `timeout` is in seconds, for each step of a request.

    It never keeps a cookie. What belongs to one person is given with each request.
    """
    no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=()))
    return httpx2.AsyncClient(timeout=timeout, base_url=base_url, cookies=no_cookies, verify=_trusted())


@cache
def _trusted() -> ssl.SSLContext:
    """The certificates of `SSL_CERT_FILE`, or those that certifi ships: parsing them takes 25 ms of a cold start."""
    return httpx2.create_ssl_context()
