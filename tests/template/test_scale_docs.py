"""docs/scale.md has what the simulation says, and the simulation what is deployed."""

from __future__ import annotations

from bench.scale import AT_ONCE, BUSY, DOCUMENT, HABITS, MAX_INSTANCES, TABLES, written
from local.config import REPOSITORY


def test_scale_counts_with_what_is_deployed() -> None:
    template = (REPOSITORY / "infra" / "main.bicep").read_text("utf-8")
    assert f"param httpConcurrency int = {AT_ONCE}\n" in template
    assert f"Most instances, 40 to {MAX_INSTANCES};" in template
    text = DOCUMENT.read_text("utf-8")
    assert f"serves {AT_ONCE} requests at once" in text
    for habit in HABITS:
        assert f"| {habit.name} | {habit.bursts} | {habit.calls} | {habit.gap:g} |" in text
        assert f"A call takes {habit.lasts:g} s." in text
    assert f"used to {BUSY:.0%} in the mean".replace("%", " %") in text


def test_scale_is_what_the_simulation_says() -> None:
    text = DOCUMENT.read_text("utf-8")
    assert all(f"<!-- {name} -->" in text for name in TABLES)
    assert written(text) == text, "PYTHONPATH=src python -m bench.scale --write writes it again"
