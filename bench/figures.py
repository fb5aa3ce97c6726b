"""What a run has measured: samples of each server, and the ratios between servers that follow from them."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

from bench.contestants import OURS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

PER_SECOND = "/s"
"""The unit of which more is better; of all others less is."""
MIN_SPREAD = 0.05
"""A ratio of few rounds may have less spread by chance; what changed less than this part of it did not change."""


class BenchError(Exception):
    """A part could not be measured, or found what must not be; says what."""


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some values, and the lowest and the highest of them."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Of at least one value."""
        found = list(values)
        return cls(median(found), min(found), max(found))


@dataclass
class Part:
    """What one part of the benchmarks has measured: samples, one a round, by what was measured and of which server."""

    date: str
    counts: dict[str, int]
    units: dict[str, str] = field(default_factory=dict[str, str])
    samples: dict[str, dict[str, list[float]]] = field(default_factory=dict[str, dict[str, list[float]]])

    def add(self, what: str, server: str, value: float, unit: str) -> None:
        """Adds the sample of a round."""
        self.units[what] = unit
        self.samples.setdefault(what, {}).setdefault(server, []).append(float(f"{value:.5g}"))

    def baselines(self, what: str) -> list[str]:
        return [server for server in self.samples[what] if server != OURS]

    def value(self, what: str, server: str) -> float:
        """The median of the rounds."""
        return median(self.samples[what][server])

    def ratio(self, what: str, baseline: str) -> Spread:
        """This server's by the baseline's, of the two samples of each round."""
        both = zip(self.samples[what][OURS], self.samples[what][baseline], strict=True)
        return Spread.of(ours / theirs for ours, theirs in both)


@dataclass
class Run:
    """Parts that were measured on one machine."""

    machine: dict[str, str]
    parts: dict[str, Part] = field(default_factory=dict[str, Part])

    @classmethod
    def read(cls, file: Path) -> Run:
        """Reads what `write` wrote.

        Raises:
            BenchError: it is no such file.
        """
        try:
            found: dict[str, Any] = json.loads(file.read_text("utf-8"))
            return cls(found["machine"], {name: Part(**part) for name, part in found["parts"].items()})
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise BenchError(f"{file} is no recorded run: {error}") from error

    def write(self, file: Path) -> None:
        """Writes it as JSON, the samples of a server on one line."""
        file.parent.mkdir(parents=True, exist_ok=True)
        text = re.sub(r"\[[^\[\]]*\]", lambda found: " ".join(found[0].split()), json.dumps(asdict(self), indent=1))
        file.write_text(f"{text}\n", "utf-8")

    def ratios(self) -> dict[tuple[str, str, str], Spread]:
        """All of them, by the part, what was measured, and the baseline."""
        return {
            (name, what, baseline): part.ratio(what, baseline)
            for name, part in self.parts.items()
            for what in part.samples
            for baseline in part.baselines(what)
        }

    def merged_into(self, earlier: Run) -> Run:
        """The earlier run with these parts instead of its own; what another machine measured is left out."""
        kept = earlier.parts if earlier.machine == self.machine else {}
        return Run(self.machine, {**kept, **self.parts})


@dataclass(frozen=True, slots=True)
class Change:
    """A ratio that is another than it was, by more than the spread of both runs."""

    part: str
    what: str
    baseline: str
    before: Spread
    after: Spread
    worse: bool


def changes(before: Run, after: Run) -> list[Change]:
    """The ratios whose spreads do not meet, of all that both runs have."""
    found: list[Change] = []
    earlier = before.ratios()
    for (name, what, baseline), now in after.ratios().items():
        old = earlier.get((name, what, baseline))
        if old is None:
            continue
        rose = now.low > max(old.high, old.median * (1 + MIN_SPREAD))
        fell = now.high < min(old.low, old.median * (1 - MIN_SPREAD))
        if rose or fell:
            worse = fell if after.parts[name].units[what] == PER_SECOND else rose
            found.append(Change(name, what, baseline, old, now, worse))
    return found


def number(value: float) -> str:
    """With three digits that count, or all before the point."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def table(part: Part) -> str:
    """Its table in Markdown: a line for what was measured, a column for each server, ratios beside the baselines."""
    baselines = list(dict.fromkeys(each for what in part.samples for each in part.baselines(what)))
    lines = [
        f"| | {OURS} | {' | '.join(f'{each} | ratio' for each in baselines)} |",
        f"|---|---:|{'---:|---:|' * len(baselines)}",
    ]
    for what, servers in part.samples.items():
        unit = part.units[what]
        cells = [f"{number(part.value(what, OURS))} {unit}"]
        for baseline in baselines:
            if baseline not in servers:
                cells += ["", ""]
                continue
            cells += [f"{number(part.value(what, baseline))} {unit}", ratio_text(part.ratio(what, baseline))]
        lines.append(f"| {what} | {' | '.join(cells)} |")
    return "\n".join(lines)


def ratio_text(ratio: Spread) -> str:
    """The median, and the lowest and the highest round where there were several."""
    if ratio.low == ratio.high:
        return f"**{ratio.median:.2f}**"
    return f"**{ratio.median:.2f}** ({ratio.low:.2f} to {ratio.high:.2f})"
