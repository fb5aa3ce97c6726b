"""Lets out of a span only what is known to be harmless; of a person, nothing but the object id.

Threat: libraries write into spans what they are given. FastMCP records the text of every exception, with whatever a
tool put into it, and a session's id; the Azure SDK the keys of rows; HTTP instrumentation whole addresses. Whoever may
read traces is not therefore somebody who may read mail.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, override
from urllib.parse import urlsplit

from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import Status, StatusCode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from opentelemetry.util.types import AttributeValue

ALLOWED_ATTRIBUTES = frozenset(
    {
        "_MS.sampleRate",
        "az.client_request_id",
        "az.namespace",
        "az.service_request_id",
        "enduser.id",
        "enduser.scope",
        "error.type",
        "fastmcp.component.type",
        "fastmcp.server.name",
        "gen_ai.operation.name",
        "gen_ai.prompt.name",
        "gen_ai.tool.name",
        "http.host",
        "http.method",
        "http.request.method",
        "http.request.resend_count",
        "http.response.status_code",
        "http.route",
        "http.status_code",
        "mcp.method.name",
        "mcp.protocol.version",
        "net.peer.name",
        "net.peer.port",
        "server.address",
        "server.port",
    }
)
"""Attributes that leave as they are. To let one of your own out, add it here."""

ADDRESSES = frozenset({"http.url", "url.full"})
"""Attributes that leave without what may identify a person."""

KEYS = re.compile(r"\(.*\)")
"""Where the address of a table's row has its keys."""

IDENTIFYING = re.compile(r"[^/]*(?:@|%40)[^/]*|[0-9a-fA-F-]{32,}|[^/]{64,}")
"""Parts of a path: an account's name, an id, a token."""

PARTS = (
    "name",
    "context",
    "parent",
    "resource",
    "attributes",
    "events",
    "links",
    "kind",
    "status",
    "start_time",
    "end_time",
    "instrumentation_scope",
)
"""What a span consists of."""

NO_FAILURE = "azure.core.exceptions.ResourceNotFoundError"
"""That a row is not there is an answer like another."""


class Scrubbed(SpanExporter):
    """Hands spans to another exporter without all that is not known to be harmless, and without those left out."""

    def __init__(self, exporter: SpanExporter, *, leaves_out: Callable[[ReadableSpan], bool] = lambda _: False) -> None:
        self._exporter = exporter
        self._leaves_out = leaves_out

    @override
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        left = [_scrubbed(span) for span in spans if not self._leaves_out(span)]
        return self._exporter.export(left) if left else SpanExportResult.SUCCESS

    @override
    def shutdown(self) -> None:
        self._exporter.shutdown()


def has_failed(span: ReadableSpan) -> bool:
    """Whether the span reports an error."""
    return span.status.status_code is StatusCode.ERROR and not _is_missing(span)


def _is_missing(span: ReadableSpan) -> bool:
    return (span.attributes or {}).get("error.type") == NO_FAILURE


def changed(span: ReadableSpan, **changes: Any) -> ReadableSpan:  # noqa: ANN401 - as `ReadableSpan` takes them
    """A copy of a span that has ended, with other values for what `changes` names."""
    return ReadableSpan(**{name: getattr(span, name) for name in PARTS} | changes)


def _scrubbed(span: ReadableSpan) -> ReadableSpan:
    return changed(
        span,
        attributes=_attributes(span.attributes or {}),
        # Of an exception the type is enough: the log has the rest.
        events=[Event(event.name, _only_type(event.attributes or {}), event.timestamp) for event in span.events],
        status=Status() if _is_missing(span) else Status(span.status.status_code),
    )


def _attributes(attributes: Mapping[str, AttributeValue]) -> dict[str, AttributeValue]:
    kept = {name: value for name, value in attributes.items() if name in ALLOWED_ATTRIBUTES}
    return kept | {name: _address(str(value)) for name, value in attributes.items() if name in ADDRESSES}


def _only_type(attributes: Mapping[str, AttributeValue]) -> dict[str, AttributeValue]:
    return {name: value for name, value in attributes.items() if name == "exception.type"}


def _address(url: str) -> str:
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{IDENTIFYING.sub('*', KEYS.sub('()', parts.path))}"
