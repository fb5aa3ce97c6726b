"""Reads the forms of a page as a browser would."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import override


class Forms(HTMLParser):
    """Where a page's forms post to, and the fields that they have."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.actions: list[str] = []
        self.fields: dict[str, str] = {}
        self.feed(page)
        self.close()

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "form":
            self.actions.append(values.get("action") or "")
        if tag == "input" and (name := values.get("name")):
            self.fields[name] = values.get("value") or ""
