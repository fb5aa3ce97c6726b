"""The options of `make bench`. `local` reads them on a bare Python, so this module needs no package."""

from __future__ import annotations

import argparse
from pathlib import Path

PARTS = {
    "calls": "calls of a tool by 1 to 256 callers, in both protocols",
    "latency": "the same with storage 5 and 20 ms away",
    "instances": "calls that 1, 2 and 4 instances answer, on one table",
    "cpu": "processor time of logins, refreshes and calls",
    "worker": "processor time of a call in a worker of Azure Functions",
    "cold_start": "a process that starts, and the first sign-ins and calls",
    "memory": "resident memory before and after many calls",
    "storage": "the store, beside py-key-value's",
    "contention": "exactly one winner of 50",
    "purge": "the purge of many rows, killed half way",
    "day": "a storm of logins, then as many refreshes as a day has, with the purge running",
    "tasks": "background tasks, beside FastMCP's on Docket and Redis",
}
"""Each part by its name, which is that of its module in `bench`."""
AT_LENGTH = ("contention", "purge", "day", "tasks")
"""Parts that run only when they are named: they prove something, or need more than this repository installs."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options that `python -m bench` and `python -m local bench` share."""
    parser.epilog = (
        f"parts: {'; '.join(f'{name}: {what}' for name, what in PARTS.items())}. Without a name all but "
        f"{' and '.join(AT_LENGTH)} run. exit codes: 0 measured, and nothing is worse than in the run to compare with; "
        "1 a part failed or a ratio is worse beyond the spread; 2 wrong usage."
    )
    parser.add_argument("parts", nargs="*", choices=PARTS, metavar="PART", help="only these parts")
    parser.add_argument("--rounds", type=_count, default=5, metavar="N", help="rounds; servers take turns (default 5)")
    parser.add_argument("--calls", type=_count, default=400, metavar="N", help="calls of each kind in a round (400)")
    parser.add_argument("--people", type=_count, default=16, metavar="N", help="people who call (16)")
    parser.add_argument("--logins", type=_count, default=20, metavar="N", help="cpu: logins in a round (20)")
    parser.add_argument(
        "--memory-calls",
        type=_count,
        default=100_000,
        metavar="N",
        help="memory: calls; a hundredth for tasks (100,000)",
    )
    parser.add_argument("--rows", type=_count, default=100_000, metavar="N", help="purge: expired rows (100,000)")
    parser.add_argument("--storm", type=_count, default=1000, metavar="N", help="day: people who sign in (1,000)")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="the run as JSON (default .local/bench/<time>.json)")
    parser.add_argument("--run", type=Path, metavar="FILE", help="take this run instead of measuring")
    parser.add_argument("--compare", type=Path, metavar="FILE", help="show which ratios changed since this run")
    parser.add_argument("--record", action="store_true", help="record the run, and write docs/performance.md again")


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is no count; it must be a whole number from 1")
    return int(text)
