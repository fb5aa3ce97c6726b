"""docs/performance.md and its pictures are of the recorded run."""

from __future__ import annotations

import re
from html import unescape

import pytest

from bench.contestants import ALL, OURS
from bench.document import ABOUT, COLOURS, DOCUMENT, IN_SHORT, OTHER, RECORDED, TEXT, document, drawings
from bench.figures import Run
from bench.options import AT_LENGTH, PARTS
from local.config import REPOSITORY

RUN = Run.read(RECORDED)


def words(svg: str) -> list[str]:
    """What a picture says; how it draws may differ between machines."""
    return [unescape(text) for text in re.findall(r"<text[^>]*>([^<]*)</text>", svg)]


def test_document_is_written_from_the_recorded_run() -> None:
    assert DOCUMENT.read_text("utf-8") == document(RUN), (
        "PYTHONPATH=src python -m bench --run bench/results/recorded.json --record writes it again"
    )


def test_document_has_words_about_every_part() -> None:
    assert set(ABOUT) == set(PARTS)


def test_recorded_run_has_every_part_and_every_server() -> None:
    assert set(PARTS) - set(AT_LENGTH) <= set(RUN.parts)
    assert all(set(servers) == set(ALL) for servers in RUN.parts["calls"].samples.values())
    assert all(OURS in servers for part in RUN.parts.values() for servers in part.samples.values())
    assert all(what in RUN.parts[part].samples for _, part, what in IN_SHORT)


def test_pictures_say_what_the_recorded_run_has() -> None:
    for name, drawn in drawings(RUN).items():
        committed = (REPOSITORY / "docs" / "pictures" / name).read_text("utf-8")
        assert words(committed) == words(drawn), name
        assert f"pictures/{name}" in DOCUMENT.read_text("utf-8")


@pytest.mark.parametrize("colour", [TEXT, OTHER, *COLOURS.values()])
@pytest.mark.parametrize("page", ["#ffffff", "#0d1117"])
def test_pictures_can_be_read_on_light_and_dark_pages(colour: str, page: str) -> None:
    """A contrast of 3 to 1, which WCAG 2.2 asks of graphics and large text."""
    light, dark = sorted((luminance(colour), luminance(page)), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 3


def luminance(colour: str) -> float:
    """Relative luminance, as WCAG defines it."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
