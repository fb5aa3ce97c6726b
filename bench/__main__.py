"""Measures, keeps the run, compares it with another and records it: see the options."""

from __future__ import annotations

import argparse
import asyncio
import platform
import sys
import time
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import psutil

from bench.contestants import prepared
from bench.figures import BenchError, Part, Run, changes, ratio_text, table
from bench.options import AT_LENGTH, PARTS, add_options
from local.processes.signals import raised_by_signals

INTERRUPTED = 130
KEPT = Path(".local") / "bench"
PACKAGES = ("fastmcp", "mcp", "starlette", "uvicorn", "py-key-value-aio", "azure-data-tables", "azure-functions")
COUNTS = ("rounds", "calls", "people", "logins", "memory_calls", "rows", "storm")


def main() -> int:
    """The exit code, as the help has it."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    add_options(parser)
    options = parser.parse_args()
    if options.run and (options.parts or options.keep):
        parser.error("--run takes a run that is there: it measures no part and keeps nothing")
    try:
        before = Run.read(options.compare) if options.compare else None
        with raised_by_signals():
            run = Run.read(options.run) if options.run else measured(options)
        if options.run and not (options.record or options.compare):
            print("\n\n".join(table(part) for part in run.parts.values()))
        if options.record:
            from bench import document, scale

            document.record(run)
            scale.write()  # it computes with the processor time that was recorded
    except BenchError as error:
        sys.stderr.write(f"FAILED: {error}\n")
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0 if before is None else compared(before, run)


def measured(options: argparse.Namespace) -> Run:
    """Measures each part, shows its table, and keeps what there is after each."""
    file = options.keep or KEPT / f"{time.strftime('%Y%m%d-%H%M%S')}.json"
    run = Run(machine())
    for name in options.parts or [name for name in PARTS if name not in AT_LENGTH]:
        part = Part(time.strftime("%Y-%m-%d"), {each: getattr(options, each) for each in COUNTS})
        module = import_module(f"bench.{name}")
        with prepared(name, options, part, module.SERVERS) as session:
            asyncio.run(module.measure(session))
        run.parts[name] = part
        run.write(file)
        session.say(f"done, kept in {file}")
        print(f"\n{table(part)}\n", flush=True)
    return run


def machine() -> dict[str, str]:
    """What ratios and times depend on, by name: no names, no paths."""
    return {
        "processor": f"{psutil.cpu_count()} logical cores, {_processor()}",
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "packages": ", ".join(f"{name} {version(name)}" for name in PACKAGES),
    }


def _processor() -> str:
    """What Linux says of the first core; elsewhere what Python knows."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def compared(before: Run, after: Run) -> int:
    """Shows the ratios that changed; 1 when one of them is worse."""
    found = changes(before, after)
    if before.machine != after.machine:
        print("The two runs are of different machines or versions.\n")
    if not found:
        print("No ratio changed by more than the spread of both runs.")
        return 0
    print("| part | | baseline | ratio before | ratio now | |\n|---|---|---|---:|---:|---|")
    for change in found:
        ratios = f"{ratio_text(change.before)} | {ratio_text(change.after)}"
        verdict = "worse" if change.worse else "better"
        print(f"| {change.part} | {change.what} | {change.baseline} | {ratios} | {verdict} |")
    return 1 if any(change.worse for change in found) else 0


if __name__ == "__main__":
    sys.exit(main())
