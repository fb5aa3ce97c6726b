"""Reaches from inside what has an address outside: in a codespace, the server's address is that of a forwarded port."""

from __future__ import annotations

from typing import TYPE_CHECKING, override

import httpx2

if TYPE_CHECKING:
    from collections.abc import Mapping


class Shortcuts(httpx2.AsyncHTTPTransport):
    """Sends requests for certain origins to others, under whose names they arrive; all other requests as they are.

    A private forwarded port wants a sign-in at GitHub, which only a person's browser has.
    """

    def __init__(self, origins: Mapping[str, str], *, retries: int = 0) -> None:
        # The machine's proxy settings are for other hosts.
        super().__init__(trust_env=False, retries=retries)
        self._origins = {_origin(httpx2.URL(outside)): httpx2.URL(inside) for outside, inside in origins.items()}

    @override
    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        inside = self._origins.get(_origin(request.url))
        if inside is None:
            return await super().handle_async_request(request)
        url = request.url.copy_with(scheme=inside.scheme, host=inside.host, port=inside.port)
        headers = httpx2.Headers(request.headers)
        headers["host"] = url.netloc.decode()
        shorter = httpx2.Request(
            request.method, url, headers=headers, stream=request.stream, extensions=request.extensions
        )
        return await super().handle_async_request(shorter)


def _origin(url: httpx2.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port
