"""What a part of the benchmarks is measured with, and where its figures go."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from bench.figures import Part


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """The measurement of one part."""

    name: str
    options: argparse.Namespace
    folder: Path
    """Empty at first, and gone afterwards."""
    part: Part
    """Gets what is measured."""
    began: float = field(default_factory=time.monotonic)

    def say(self, text: str) -> None:
        """Says what is being measured on stderr, with the seconds since the part began."""
        sys.stderr.write(f"{self.name} {time.monotonic() - self.began:5.0f} s  {text}\n")
        sys.stderr.flush()
