"""The page that shows traces and metrics.

Threat: names and attributes can hold what a client sent. Everything is escaped, and the page runs no script and loads
nothing.
"""

from __future__ import annotations

from datetime import datetime
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.responses import HTMLResponse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from local.traces.kept import Kept, Trace
    from local.traces.otlp import Point, Span

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

STYLE = """
:root { color-scheme: light dark; --back: light-dark(#f4f5f8, #101218); --card: light-dark(#fff, #1b1e26);
  --text: light-dark(#1a1d24, #e8eaf0); --soft: light-dark(#5a6170, #a3aabb); --line: light-dark(#dfe2ea, #2c313d);
  --server: light-dark(#0f6cbd, #62abf5); --client: light-dark(#0b7a4b, #4fc48d);
  --internal: light-dark(#6b7280, #8b93a5); --bad: light-dark(#b3261e, #f28b82); }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--text); font: 14px/1.5 system-ui, sans-serif; }
main { max-width: 76rem; margin: 0 auto; padding: 1.5rem 1.25rem 4rem; }
header { display: flex; gap: 1rem; align-items: baseline; flex-wrap: wrap; margin-bottom: 1rem; }
h1 { font-size: 1.3rem; margin: 0; } h2 { font-size: 1rem; margin: 2rem 0 .5rem; }
header form { margin-left: auto; }
button, header a { font: inherit; color: inherit; background: none; border: 1px solid var(--line); border-radius: .4rem;
  padding: .2rem .8rem; text-decoration: none; cursor: pointer; }
.soft { color: var(--soft); }
details { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; margin: .35rem 0; }
summary { display: grid; grid-template-columns: 7rem 1fr 6rem 6rem; gap: .75rem; padding: .4rem .75rem;
  cursor: pointer; }
summary b { overflow-wrap: anywhere; }
summary span:nth-last-child(-n+2) { text-align: right; }
ol { list-style: none; margin: 0; padding: .25rem .75rem .6rem; border-top: 1px solid var(--line); }
li { display: grid; grid-template-columns: minmax(0, 31rem) 1fr 5rem; gap: .75rem; padding: .08rem 0;
  align-items: center; }
li > span:first-child { overflow-wrap: anywhere; }
li > span:last-child { text-align: right; }
.what { color: var(--soft); font-size: .8rem; }
.track { position: relative; height: .8rem; background: var(--back); border-radius: .2rem; }
.bar { position: absolute; height: 100%; min-width: 3px; border-radius: .2rem; background: var(--internal); }
.server { background: var(--server); } .client { background: var(--client); }
.failed { color: var(--bad); } .bar.failed { background: var(--bad); }
table { border-collapse: collapse; width: 100%; background: var(--card); border: 1px solid var(--line); }
th, td { text-align: left; padding: .25rem .75rem; border-bottom: 1px solid var(--line); }
td:last-child, th:last-child { text-align: right; white-space: nowrap; }
"""

STATUS = ("http.response.status_code", "http.status_code")
ADDRESS = ("url.full", "http.url")
CALLER = ("enduser.id",)
"""Attributes that stand beside a span's name; the others are shown when the pointer rests on it."""


def traces_page(kept: Kept) -> HTMLResponse:
    """All that has been received, the newest first."""
    shown = "\n".join(_trace(trace, opened=False) for trace in kept.traces())
    empty = '<p class="soft">Nothing has been received yet. Use the server, then reload this page.</p>'
    return _page(f"{shown or empty}\n{_metrics(kept.points())}")


def trace_page(trace: Trace) -> HTMLResponse:
    """One trace, opened."""
    return _page(_trace(trace, opened=True))


def _page(content: str) -> HTMLResponse:
    html = f"""\
<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Traces</title><style>{STYLE}</style></head>
<body><main>
<header><h1>Traces</h1><span class="soft">of the server on this machine, in memory only</span>
<form method="post" action="/clear"><a href="/">Reload</a> <button>Clear</button></form></header>
{content}
</main></body>
</html>
"""
    return HTMLResponse(html, headers=HEADERS)


def _trace(trace: Trace, *, opened: bool) -> str:
    tree = list(trace.tree())
    first = tree[0][1]
    began = datetime.fromtimestamp(first.start / 1e9).astimezone()
    rows = "\n".join(_row(span, depth, trace) for depth, span in tree)
    dropped = f"<li>{trace.dropped} more spans were dropped.</li>" if trace.dropped else ""
    calls = [span.name for _, span in tree if span.kind == "server"]
    name = escape(" · ".join([first.name, *(name for name in calls if name != first.name)]))
    return f"""\
<details id="{trace.trace_id}"{" open" if opened else ""}>
<summary><span class="soft">{began:%H:%M:%S}.{began.microsecond // 1000:03}</span>
<b{' class="failed"' if trace.failed else ""}>{name}</b>
<span class="soft"><a href="/traces/{trace.trace_id}">{len(tree)} spans</a></span>
<span>{_milliseconds(trace.end - trace.start)}</span></summary>
<ol>{rows}{dropped}</ol>
</details>"""


def _row(span: Span, depth: int, trace: Trace) -> str:
    whole = max(trace.end - trace.start, 1)
    left = (span.start - trace.start) / whole * 100
    width = (span.end - span.start) / whole * 100
    told = " ".join([_first(span, STATUS), urlsplit(_first(span, ADDRESS)).path, _first(span, CALLER)])
    hover = "\n".join(
        [f"{span.service}, {span.kind}", *(f"{name} = {value}" for name, value in span.attributes.items())]
    )
    failed = " failed" if span.failed else ""
    return (
        f'<li title="{escape(hover)}"><span class="{failed.strip()}" style="padding-left:{depth * 1.1:.1f}rem">'
        f'{escape(span.name)} <span class="what">{escape(told)}</span></span>'
        f'<span class="track"><span class="bar {escape(span.kind)}{failed}" '
        f'style="left:{left:.2f}%;width:{width:.2f}%"></span></span>'
        f"<span>{_milliseconds(span.end - span.start)}</span></li>"
    )


def _first(span: Span, names: Sequence[str]) -> str:
    return next((span.attributes[name] for name in names if name in span.attributes), "")


def _metrics(points: list[Point]) -> str:
    if not points:
        return ""
    rows = "\n".join(
        f"<tr><td>{escape(point.metric)}</td>"
        f"<td>{escape(', '.join(f'{name}={value}' for name, value in sorted(point.attributes.items())))}</td>"
        f"<td>{_value(point)}</td></tr>"
        for point in points
    )
    return f"<h2>Metrics</h2><table><tr><th>metric</th><th>of</th><th>value</th></tr>{rows}</table>"


def _value(point: Point) -> str:
    if point.total is None:
        return f"{point.count:g}"
    mean = point.total / point.count if point.count else 0.0
    return f"{point.count:g} times, {mean:.3g} {escape(point.unit)} on average"


def _milliseconds(nanoseconds: int) -> str:
    return f"{nanoseconds / 1e6:.1f} ms"
