"""An endpoint that takes what is sent to Application Insights, and the tables that its users query."""

from __future__ import annotations

import asyncio
import gzip
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from local.loopback.tls import ensure_tls
from tests.support.serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from pathlib import Path

    from starlette.requests import Request

    type Envelope = dict[str, Any]
    type Row = dict[str, Any]

LEVELS = {"Verbose": 0, "Trace": 0, "Debug": 0, "Information": 1, "Warning": 2, "Error": 3, "Critical": 4}


class Recording:
    """Envelopes in the order in which they arrived."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []
        self.bytes = 0
        self._arrived = asyncio.Condition()

    async def take(self, request: Request) -> JSONResponse:
        body = await request.body()
        self.bytes += len(body)
        if request.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        envelopes: list[Envelope] = json.loads(body)
        async with self._arrived:
            self.envelopes += envelopes
            self._arrived.notify_all()
        answer: dict[str, Any] = {"itemsReceived": len(envelopes), "itemsAccepted": len(envelopes), "errors": []}
        return JSONResponse(answer, headers={"Connection": "close"})

    async def until(self, condition: Callable[[Recording], bool], *, seconds: float = 20) -> None:
        """Waits for what has to arrive."""
        async with asyncio.timeout(seconds), self._arrived:
            await self._arrived.wait_for(lambda: condition(self))

    @property
    def requests(self) -> list[Row]:
        return [_request(each) for each in self._of("RequestData")]

    @property
    def traces(self) -> list[Row]:
        return [_trace(each) for each in self._of("MessageData")]

    @property
    def dependencies(self) -> list[Row]:
        return [_dependency(each) for each in self._of("RemoteDependencyData")]

    def audit(self) -> list[tuple[Row, dict[str, Any]]]:
        """The lines of the audit log, each with what its JSON says."""
        return [(row, json.loads(row["message"])) for row in self.traces if row["message"].startswith('{"event"')]

    def _of(self, kind: str) -> list[Envelope]:
        return [each for each in self.envelopes if each["data"]["baseType"] == kind]


@asynccontextmanager
async def recording(certificates: Path) -> AsyncGenerator[tuple[Recording, dict[str, str]]]:
    """Yields what arrives, and the settings with which host and application send it there."""
    made = Recording()
    app = Starlette(routes=[Route("/v2.1/track", made.take, methods=["POST"])])
    async with serving(app, tls=ensure_tls(certificates).server) as port:
        key = "InstrumentationKey=00000000-0000-4000-8000-000000000000"
        yield (
            made,
            {
                "APPLICATIONINSIGHTS_CONNECTION_STRING": f"{key};IngestionEndpoint=https://127.0.0.1:{port}",
                "APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL": "true",
                "APPLICATIONINSIGHTS_SDKSTATS_DISABLED": "true",
                "APPLICATIONINSIGHTS_CONTROLPLANE_DISABLED": "true",
                "OTEL_BSP_SCHEDULE_DELAY": "200",
                "OTEL_TRACES_SAMPLER": "always_on",
            },
        )


def _common(envelope: Envelope) -> Row:
    tags, data = envelope["tags"], envelope["data"]["baseData"]
    return {
        "timestamp": envelope["time"],
        "operation_Id": tags.get("ai.operation.id", ""),
        "operation_Name": tags.get("ai.operation.name", ""),
        "customDimensions": data.get("properties") or {},
        "itemCount": round(100 / envelope.get("sampleRate", 100)),
    }


def _request(envelope: Envelope) -> Row:
    data = envelope["data"]["baseData"]
    return _common(envelope) | {
        "name": data["name"],
        "url": data.get("url", ""),
        "success": data["success"],
        "resultCode": data["responseCode"],
        "duration": _milliseconds(data["duration"]),
    }


def _trace(envelope: Envelope) -> Row:
    data = envelope["data"]["baseData"]
    return _common(envelope) | {"message": data["message"], "severityLevel": LEVELS[data["severityLevel"]]}


def _dependency(envelope: Envelope) -> Row:
    data = envelope["data"]["baseData"]
    return _common(envelope) | {"name": data["name"], "success": data["success"], "type": data["type"]}


def _milliseconds(duration: str) -> float:
    """Of `[days.]hours:minutes:seconds`."""
    hours, minutes, seconds = duration.split(":")
    days, _, hours = hours.rpartition(".")
    return 1000 * ((24 * int(days or 0) + int(hours)) * 3600 + int(minutes) * 60 + float(seconds))
