"""Sends Application Insights what the real host sends: a request for each invocation, and the lines of its log.

The fields are those of host 4.1037. `logging.logLevel` of host.json is obeyed; nothing is sampled.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx2

from local.host.errors import HostError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.host.messages import Logged
    from local.host.process import Invocation

SETTING = "APPLICATIONINSIGHTS_CONNECTION_STRING"
SEND_SECONDS = 0.5
LEVELS = ("Trace", "Debug", "Information", "Warning", "Error", "Critical", "None")
NAMES = {"DEBUG": "Debug", "INFO": "Information", "WARNING": "Warning", "ERROR": "Error", "CRITICAL": "Critical"}

logger = logging.getLogger(__name__)


class ApplicationInsights:
    """The account that the app's environment names; when it names none, nothing is kept or sent.

    Raises:
        HostError: the connection string lacks a part.
    """

    def __init__(self, environment: Mapping[str, str], *, log_levels: Mapping[str, str]) -> None:
        connection = environment.get(SETTING, "")
        parts = dict(part.split("=", 1) for part in connection.split(";") if "=" in part)
        missing = [name for name in ("InstrumentationKey", "IngestionEndpoint") if not parts.get(name)]
        if connection and missing:
            raise HostError(f"{SETTING} has no {' and no '.join(missing)}.")
        self._key = parts.get("InstrumentationKey")
        self._url = f"{parts.get('IngestionEndpoint', '').rstrip('/')}/v2.1/track"
        self._certificates = environment.get("SSL_CERT_FILE")
        self._levels = log_levels
        self._waiting: list[dict[str, Any]] = []

    async def run(self) -> None:
        """Send until cancelled, and what is left then."""
        if self._key is None:
            return
        context = ssl.create_default_context(cafile=self._certificates)
        async with httpx2.AsyncClient(verify=context, trust_env=False, timeout=5) as http:
            try:
                while True:
                    await asyncio.sleep(SEND_SECONDS)
                    await self._send(http)
            finally:
                await self._send(http)

    def began(self, invocation: Invocation) -> None:
        self._line(f"Function.{invocation.function}", "Information", f"Executing {_called(invocation)}", invocation)

    def user_line(self, line: Logged, invocation: Invocation) -> None:
        level = NAMES.get(line.level, "Information")
        self._line(f"Function.{invocation.function}.User", level, line.text, invocation)
        # The real worker prints it besides, and the host takes what it prints for lines of its own.
        self._line("Worker.rpcWorkerProcess", "Information", line.text, None)

    def ended(self, invocation: Invocation, *, error: str | None, status: int | None) -> None:
        """`status` is that of the answer to a request, and None for other triggers."""
        level = "Information" if error is None else "Error"
        said = f"Executed {_called(invocation)} ({'Succeeded' if error is None else 'Failed'})"
        self._line(f"Function.{invocation.function}", level, said, invocation)
        request = {
            "name": invocation.function,
            "id": invocation.span,
            "duration": str(timedelta(seconds=time.time() - invocation.began)),
            "responseCode": str(status or 0),
            "success": error is None,
            "properties": {"HttpMethod": invocation.method, "HttpPath": invocation.path},
            **({"url": f"http://localhost{invocation.path}"} if invocation.path else {}),
        }
        self._add("RequestData", "Host.Results", level, request, invocation, invocation.began)

    def _line(self, category: str, level: str, text: str, invocation: Invocation | None) -> None:
        self._add("MessageData", category, level, {"message": text, "severityLevel": level}, invocation)

    def _add(
        self,
        kind: str,
        category: str,
        level: str,
        data: dict[str, Any],
        invocation: Invocation | None,
        at: float | None = None,
    ) -> None:
        """`at` is a POSIX time, and None for now: a line has no time of its own on its way to the host."""
        if self._key is None or not self._allowed(category, level):
            return
        tags = {"ai.cloud.roleInstance": "localhost", "ai.internal.sdkVersion": "azurefunctions: 4.1037.0.0"}
        properties = {"Category": category, "LogLevel": level, **data.get("properties", {})}
        if invocation is not None:
            tags |= {"ai.operation.id": invocation.operation, "ai.operation.name": invocation.function}
            properties["InvocationId"] = invocation.id
        when = datetime.fromtimestamp(time.time() if at is None else at, UTC)
        self._waiting.append(
            {
                "name": {"RequestData": "AppRequests", "MessageData": "AppTraces"}[kind],
                "iKey": self._key,
                "time": when.isoformat().replace("+00:00", "Z"),
                "tags": tags,
                "data": {"baseType": kind, "baseData": {"ver": 2, **data, "properties": properties}},
            }
        )

    def _allowed(self, category: str, level: str) -> bool:
        fitting = [name for name in self._levels if category == name or category.startswith(f"{name}.")]
        least = self._levels[max(fitting, key=len)] if fitting else self._levels.get("default", "Information")
        return LEVELS.index(level) >= LEVELS.index(least)

    async def _send(self, http: httpx2.AsyncClient) -> None:
        envelopes, self._waiting = self._waiting, []
        if envelopes:
            with contextlib.suppress(httpx2.HTTPError):
                await http.post(self._url, json=envelopes)


def _called(invocation: Invocation) -> str:
    return f"'Functions.{invocation.function}' (Id={invocation.id})"
