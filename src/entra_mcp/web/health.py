"""Readiness for probes: `/readyz` shows whether what the server depends on answers."""

from __future__ import annotations

import asyncio
import logging
import time
from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response

from entra_mcp.errors import DependencyError
from entra_mcp.web.answers import NO_STORE, RETRY_SECONDS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.requests import Request

CHECK_SECONDS = 4.0
"""How long one round of checks may take."""

REMEMBERED_SECONDS = 5.0
"""How long an answer is reused, so that callers of this open page cannot put load on what it checks."""

logger = logging.getLogger(__name__)


class Readiness:
    """Checks every dependency in parallel; the answer names the ones that fail, and only the log says why."""

    def __init__(self, checks: Mapping[str, Callable[[], Awaitable[None]]]) -> None:
        self._checks = dict(checks)
        self._lock = asyncio.Lock()
        self._failed: frozenset[str] = frozenset()
        self._checked_at: float | None = None

    async def answer(self, _: Request) -> Response:
        async with self._lock:
            if self._checked_at is None or time.monotonic() - self._checked_at > REMEMBERED_SECONDS:
                outcomes = await asyncio.gather(*(self._passes(name) for name in self._checks))
                self._failed = frozenset(
                    name for name, passed in zip(self._checks, outcomes, strict=True) if not passed
                )
                self._checked_at = time.monotonic()
        return not_ready(self._failed) if self._failed else JSONResponse({"status": "ready"}, headers=NO_STORE)

    async def _passes(self, name: str) -> bool:
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                await self._checks[name]()
        except (DependencyError, TimeoutError) as error:
            logger.warning("Not ready, %s: %s", name, str(error) or "no answer in time")
            return False
        return True


def not_ready(components: frozenset[str]) -> Response:
    """Returns the 503 that names the components which are not ready."""
    return JSONResponse(
        {"status": "not ready", "unavailable": sorted(components)},
        status_code=HTTPStatus.SERVICE_UNAVAILABLE,
        headers={**NO_STORE, "Retry-After": str(RETRY_SECONDS)},
    )
