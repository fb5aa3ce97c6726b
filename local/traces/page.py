"""The page that shows traces and metrics.

Threat: names and attributes can hold what a client sent. Everything is escaped, and the page runs no script and loads
nothing.
"""

from __future__ import annotations

from datetime import datetime
from html import escape
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from opentelemetry.proto.metrics.v1.metrics_pb2 import HistogramDataPoint
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from starlette.responses import HTMLResponse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
    from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric, NumberDataPoint

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
BESIDE_THE_NAME = ("http.response.status_code", "http.status_code", "url.full", "http.url", "enduser.id")
"""The other attributes are shown when the pointer rests on a span."""
EMPTY = "<p>Nothing has been received yet. Use the server, then reload this page.</p>"


def page(
    traces: Iterable[Mapping[bytes, Span]], points: Iterable[tuple[Metric, NumberDataPoint | HistogramDataPoint]]
) -> HTMLResponse:
    """The traces, the one that began last first, and under them the newest value of each metric."""
    newest_first = sorted(traces, key=lambda spans: min(span.start_time_unix_nano for span in spans.values()))[::-1]
    metrics = "\n".join(_metric(metric, point) for metric, point in points)
    content = "\n".join(map(_trace, newest_first)) or EMPTY
    html = Path(__file__).with_name("page.html").read_text("utf-8")
    content += f"\n<h2>Metrics</h2>\n<ul>{metrics}</ul>" if metrics else ""
    return HTMLResponse(html.replace("<!-- content -->", content), headers=HEADERS)


def tree(spans: Mapping[bytes, Span]) -> Iterator[tuple[int, Span]]:
    """Yields each span with its depth, parents before children, in the order in which they began.

    A span whose parent has not arrived, the Functions host's for instance, is at the top; so are, at the end, those
    that would be their own ancestors.
    """
    children: dict[bytes, list[Span]] = {}
    for span in sorted(spans.values(), key=lambda span: (span.start_time_unix_nano, span.span_id)):
        children.setdefault(span.parent_span_id if span.parent_span_id in spans else b"", []).append(span)
    waiting = [(0, span) for span in reversed(children.pop(b"", []))]
    while waiting:
        depth, span = waiting.pop()
        yield depth, span
        waiting += [(depth + 1, child) for child in reversed(children.pop(span.span_id, []))]
    yield from ((0, span) for span in chain(*children.values()))


def _trace(spans: Mapping[bytes, Span]) -> str:
    rows = list(tree(spans))
    start = min(span.start_time_unix_nano for span in spans.values())
    whole = max(1, max(span.end_time_unix_nano for span in spans.values()) - start)
    began = datetime.fromtimestamp(start / 1e9).astimezone()
    # The span of a request is an internal one; what it served, a tool for example, is the server's.
    names = dict.fromkeys([rows[0][1].name, *(span.name for _, span in rows if span.kind == Span.SPAN_KIND_SERVER)])
    failed = any(map(_failed, spans.values()))
    return f"""\
<details id="{rows[0][1].trace_id.hex()}">
<summary><time>{began:%H:%M:%S}.{began.microsecond // 1000:03}</time>
<b{' class="failed"' if failed else ""}>{escape(" · ".join(names))}</b>
<small>{len(rows)} spans</small> <span>{whole / 1e6:.1f} ms</span></summary>
<ol>{"".join(_row(span, depth, start=start, whole=whole) for depth, span in rows)}</ol>
</details>"""


def _row(span: Span, depth: int, *, start: int, whole: int) -> str:
    took = span.end_time_unix_nano - span.start_time_unix_nano
    kind = "failed" if _failed(span) else Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower()
    attributes = _attributes(span.attributes)
    paths = [urlsplit(attributes[name]).path for name in BESIDE_THE_NAME if name in attributes]
    hover = "\n".join([kind, *(f"{name} = {value}" for name, value in attributes.items())])
    left, width = (span.start_time_unix_nano - start) / whole, took / whole
    return f"""
<li title="{escape(hover)}" class="{kind}"><span style="padding-left:{min(depth, 12) * 0.9:.1f}rem">\
{escape(span.name)} <small>{escape(" ".join(paths))}</small></span>
<i><i style="left:{left:.2%};width:{width:.2%}"></i></i> <span>{took / 1e6:.1f} ms</span></li>"""


def _metric(metric: Metric, point: NumberDataPoint | HistogramDataPoint) -> str:
    if isinstance(point, HistogramDataPoint):
        mean = point.sum / point.count if point.count else 0.0
        value = f"{point.count} times, {mean:.3g} {metric.unit} on average"
    else:
        value = f"{point.as_int if point.HasField('as_int') else point.as_double:g}"
    of = ", ".join(f"{name}={value}" for name, value in sorted(_attributes(point.attributes).items()))
    return f"<li><b>{escape(metric.name)}</b> <small>{escape(of)}</small> <span>{escape(value)}</span></li>"


def _failed(span: Span) -> bool:
    return span.status.code == Status.STATUS_CODE_ERROR


def _attributes(sent: Sequence[KeyValue]) -> dict[str, str]:
    return {each.key: _text(each.value) for each in sent}


def _text(value: AnyValue) -> str:
    if value.HasField("array_value"):
        return ", ".join(map(_text, value.array_value.values))
    kind = value.WhichOneof("value")
    return str(getattr(value, kind)) if kind else ""
