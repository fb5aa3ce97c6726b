"""Cleans text that a stranger wrote, so that it can be shown.

Threat: a client chooses its own name, and may try to look like another, or like a part of the page: with markup, with
ten thousand characters, or with characters that reverse the text around them (https://www.unicode.org/reports/tr36/).
"""

from __future__ import annotations

import unicodedata
from html import escape

JOINERS = frozenset("\u200c\u200d")
"""The only format characters that scripts and emoji need within a word."""

MARKS = 3
"""How many combining marks may follow each other: more than languages use pile up over the lines above."""


def plain(text: str, *, limit: int) -> str:
    """Returns the text in one line of at most `limit` characters, without what is invisible or reorders others."""
    shown: list[str] = []
    marks = 0
    # Bounded twice: normalising is work, and only what is left of the text counts in the end.
    for character in unicodedata.normalize("NFC", text[: 4 * limit]):
        category = unicodedata.category(character)
        marks = marks + 1 if category in {"Mn", "Me"} else 0
        if category[0] == "Z" or character in "\t\n\r":
            shown.append(" ")
        elif (category[0] != "C" or character in JOINERS) and marks <= MARKS:
            shown.append(character)
    line = " ".join("".join(shown).split())
    return f"{line[: limit - 1].rstrip()}…" if len(line) > limit or len(text) > 4 * limit else line


def isolated(text: str) -> str:
    """Returns the text as HTML whose direction has no effect on what stands around it."""
    return f"<bdi>{escape(text)}</bdi>"
