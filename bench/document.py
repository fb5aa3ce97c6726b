"""Writes docs/performance.md and its pictures from the recorded run: `python -m bench --run FILE --record`."""

from __future__ import annotations

import io
from importlib import import_module
from typing import TYPE_CHECKING, Any

from bench.calls import AT_ONCE, PROTOCOLS
from bench.contestants import ALL, MEMORY, NO_AUTH, OURS, TABLES
from bench.figures import BenchError, Part, Run, number, ratio_text, table
from bench.latency import LATENCIES_MS
from bench.options import PARTS
from local.config import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Sequence

RECORDED = REPOSITORY / "bench" / "results" / "recorded.json"
DOCUMENT = REPOSITORY / "docs" / "performance.md"

IN_SHORT = (
    ("time of a call of a burst, one caller", "calls", f"p50 of a call, {PROTOCOLS[0]}, 1 at once"),
    ("time of the first call of a burst", "calls", f"first call of a burst, {PROTOCOLS[0]}"),
    ("calls a second, 16 callers", "calls", f"calls, {PROTOCOLS[0]}, 16 at once"),
    ("logins for a second of processor time", "cpu", "logins for a second of processor time"),
    ("refreshes for a second of processor time", "cpu", "refreshes for a second of processor time"),
    ("time until a process is ready", "cold_start", "the process is ready"),
)
ABOUT = {
    "calls": """Every server is a process on a plain uvicorn. This one serves its samples, and its limits of calls and
registrations are lifted; the stock ones serve as many tools, all of them `add`. A burst begins after a pause that is
longer than this server remembers the token set of a sign-in, so its first call reads a row. Before that, calls of
other people wake the processor, which is slow after a pause. `stock in AsgiFunctionApp` leads calls through the
middleware of Azure's class, with storage in memory. The host and the worker of Azure Functions are around none of
them.""",
    "latency": """A proxy before Azurite delays each request. What is in memory has no network before it, so its
columns show how much the machine itself varies.""",
    "instances": """The instances of a server share its address, its table and its keys, as in a deployment. People sign
in at the first one, and call all of them. Clients, servers and Azurite share the cores, so this shows what instances
cost each other, not how many of them help.""",
    "cpu": """The processor time of the server's process alone. A login is six requests: registration, consent, the
way back from Entra ID, and the exchange of the code. More than half of what a login or a refresh takes the stock
provider is reading certificates: it creates an HTTP client for each exchange with Entra ID. Here it is the requests to
storage that take the time.""",
    "worker": """The processor time of the process that runs the app. Microsoft's runtime for Python serves it behind
this repository's host; Microsoft's own worker adds its transport to its host, and six lines of its own log a call. The
empty function reads the request and answers. So it shows what a worker costs by itself: its HTTP server, the runtime,
and the code of this repository that leads a request to its invocation.""",
    "cold_start": """The time that Azure needs to provide an instance is not included. This server looks for garbage
only once it has started, as `function_app.py` has it; the others as Python does.
[how-it-works.md](how-it-works.md#streaming-on-azure-functions) describes what a start consists of.""",
    "memory": "Resident memory of the server's process.",
    "storage": """This server's store and py-key-value's, which FastMCP's guide recommends with Fernet. Azurite takes
most of the time. An empty cell is a value that the other store refuses.""",
    "contention": "Many callers on two processes want the same row.",
    "day": """The refreshes of a day follow each other in minutes, so nothing of them expires but what lives that short.
The baseline has no purge.""",
    "purge": "Rows that have expired are deleted among as many that live; the purge is killed once.",
    "tasks": """This server runs on the local Functions host, whose queue listener waits between two looks as the real
one does. Docket's worker runs in the server's process, and Redis wakes it.""",
}
SHOWN = {"calls": "calls.svg", "latency": "latency.svg"}

TEXT = "#77808a"
COLOURS = {NO_AUTH: "#8a8f98", MEMORY: "#3f8fd2", TABLES: "#c9762b", OURS: "#2f9e58"}
OTHER = "#a56cc1"
"""Readable on a light and on a dark page, since the pictures have no background."""


def record(run: Run) -> None:
    """Keeps the parts of a run as the recorded ones, and writes the document and the pictures again.

    Raises:
        BenchError: the record is of another machine, and has parts that the run lacks. Nothing is written.
    """
    earlier = Run.read(RECORDED) if RECORDED.exists() else run
    recorded = run.merged_into(earlier)
    if missing := earlier.parts.keys() - recorded.parts.keys():
        raise BenchError(f"The record is of another machine. Measure these parts too: {', '.join(sorted(missing))}.")
    recorded.write(RECORDED)
    DOCUMENT.write_text(document(recorded), "utf-8")
    for name, drawn in drawings(recorded).items():
        (REPOSITORY / "docs" / "pictures" / name).write_text(drawn, "utf-8")


def document(run: Run) -> str:
    """The whole document."""
    machine = "\n".join(f"| {name} | {what} |" for name, what in run.machine.items())
    return "\n".join(
        [
            INTRODUCTION.format(machine=machine, short=_in_short(run)),
            *(_section(name, run) for name in PARTS if name in run.parts),
        ]
    )


def _in_short(run: Run) -> str:
    lines = [f"| | {MEMORY} | {TABLES} |", "|---|---:|---:|"]
    ratios = run.ratios()
    for label, name, what in IN_SHORT:
        found = [ratios.get((name, what, each)) for each in (MEMORY, TABLES)]
        lines.append(f"| {label} | {' | '.join(ratio_text(ratio) if ratio else '' for ratio in found)} |")
    return "\n".join(lines)


def _section(name: str, run: Run) -> str:
    part = run.parts[name]
    what = PARTS[name][0].upper() + PARTS[name][1:]
    picture = f"\n![{what}](pictures/{SHOWN[name]})\n" if name in SHOWN else ""
    title = name.replace("_", " ").capitalize()
    about = f"{what}.\n\n{ABOUT[name]}\n\n{_counts(name, part)}"
    return f"## {title}\n\n{about}\n{picture}\n{table(part)}\n"


def _counts(name: str, part: Part) -> str:
    of = {
        **dict.fromkeys(("calls", "latency", "instances", "worker"), ("rounds", "calls", "people")),
        "cpu": ("rounds", "logins"),
        "memory": ("memory_calls", "people"),
        "purge": ("rows",),
        "tasks": ("rounds", "memory_calls"),
        "day": ("storm",),
    }.get(name, ("rounds",))
    counts = ", ".join(f"`--{each.replace('_', '-')} {part.counts[each]}`" for each in of)
    return f"Measured on {part.date} with {counts}."


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
            values = [part.value(what, server) for _, what in groups]
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


INTRODUCTION = """\
<!-- Written by `make bench RECORD=1` from bench/results/recorded.json. Change bench/document.py, or measure again. -->
# Performance

What this server costs, beside FastMCP as it ships. Every table has the ratio of this server to a baseline, and both
were measured in the same run. The servers take turns, round by round. A cell has the median of the rounds. The ratio is
the median of the ratios of the rounds, with the lowest and the highest round in brackets.

Of milliseconds, megabytes and requests less is better, so a ratio below 1 is in favour of this server. Of what has `/s`
more is better, so there it is a ratio above 1.

| baseline | what it is |
|---|---|
| no auth | FastMCP without any authentication |
| stock on memory | FastMCP's `AzureProvider` on `MemoryStore` |
| stock on tables | the same on `AzureTablesStore` within `FernetEncryptionWrapper`, as FastMCP's guide has it |
| stock in AsgiFunctionApp | the one on memory, behind the middleware of `AsgiFunctionApp` |

## In short

{short}

## The machine

| | |
|---|---|
{machine}

Clients, servers, Azurite and the stand-in for Entra ID share these cores, and so may other work: the spread shows it.
Times are longer than on machines of their own; ratios are what to read.

`make bench` repeats all of it, and `make bench PART=calls` one part. Each run is kept in `.local/bench`. `make bench
COMPARE=<file>` shows which ratios changed beyond the spread of both runs, and fails when one got worse.

## Where the time goes

`make run TRACE=1` draws each request as a tree of spans, with the requests to storage and to Entra ID in it. Here
somebody signed in, from below, and then called `graph_me` ([telemetry.md](telemetry.md#see-it-on-your-machine)).

![Traces of a login and of a tool call](pictures/traces.png)
"""
