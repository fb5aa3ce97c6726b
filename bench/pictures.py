"""Draws the pictures of docs/performance.md, readable on a light and on a dark page: no background, colours between."""

from __future__ import annotations

import io
from importlib import import_module
from typing import TYPE_CHECKING, Any

from bench.calls import AT_ONCE, PROTOCOLS
from bench.contestants import ALL, MEMORY, NO_AUTH, OURS, TABLES
from bench.figures import number
from bench.latency import LATENCIES_MS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.figures import Part, Run

TEXT = "#77808a"
COLOURS = {NO_AUTH: "#8a8f98", MEMORY: "#3f8fd2", TABLES: "#c9762b", OURS: "#2f9e58"}
OTHER = "#a56cc1"


def drawings(run: Run) -> dict[str, str]:
    """SVG by the name of the file, of the parts that the run has."""
    found: dict[str, str] = {}
    if (calls := run.parts.get("calls")) is not None:
        groups = [(f"{many} at once", f"calls, {PROTOCOLS[0]}, {many} at once") for many in AT_ONCE]
        found["calls.svg"] = _bars(calls, groups, ALL, f"calls a second, protocol {PROTOCOLS[0]}")
    if (latency := run.parts.get("latency")) is not None:
        ways = [("first of a burst", "first call of a burst, {}"), ("one caller", "p50 of a call, {}, 1 at once")]
        groups = [
            (f"{label}, {away} ms away", f"{what.format(PROTOCOLS[0])}, storage {away} ms away")
            for label, what in ways
            for away in LATENCIES_MS
        ]
        found["latency.svg"] = _bars(latency, groups, (MEMORY, TABLES, OURS), f"ms of a call, protocol {PROTOCOLS[0]}")
    return found


def _bars(part: Part, groups: Sequence[tuple[str, str]], servers: Sequence[str], title: str) -> str:
    pyplot: Any = import_module("matplotlib.pyplot")  # late, and Any: half of what its stubs say is unknown
    pyplot.switch_backend("svg")
    fixed = {"svg.fonttype": "none", "svg.hashsalt": title, "font.size": 9, "font.family": "sans-serif"}
    coloured = dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), TEXT)
    with pyplot.rc_context({**fixed, **coloured}):
        figure, axes = pyplot.subplots(figsize=(9, 3.6), layout="constrained")
        for place, server in enumerate(servers):
            values = [part.value(what, server).median for _, what in groups]
            at = [group * (len(servers) + 1) + place for group in range(len(groups))]
            bars = axes.bar(at, values, width=0.85, color=COLOURS.get(server, OTHER), label=server)
            axes.bar_label(bars, [number(value) for value in values], fontsize=7)
        middle = [group * (len(servers) + 1) + (len(servers) - 1) / 2 for group in range(len(groups))]
        axes.set_xticks(middle, [label for label, _ in groups])
        axes.set_title(title)
        axes.spines[["top", "right"]].set_visible(False)
        figure.legend(loc="outside lower center", ncols=len(servers), frameon=False)
        drawn = io.StringIO()
        figure.savefig(drawn, format="svg", transparent=True, metadata={"Date": None})
        pyplot.close(figure)
    return drawn.getvalue()
