"""Reads an HTML page as far as a person's clicks go: text, links, forms and their buttons."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

SILENT = {"script", "style", "svg", "title"}
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


@dataclass(slots=True, kw_only=True)
class Form:
    """A form: where it goes, and what it holds unless a person changes it."""

    action: str
    method: str
    fields: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])


@dataclass(slots=True, kw_only=True)
class Button:
    """A button of a form: what it says, and what it adds to the form when it is clicked."""

    label: str
    form: Form
    name: str | None
    value: str


@dataclass(slots=True, kw_only=True)
class Link:
    """A link: what it says and where it goes."""

    label: str
    url: str


@dataclass(slots=True, kw_only=True)
class Page:
    """A page as it was received from `url`."""

    url: str
    status: int
    text: str = ""
    ways: list[Button | Link] = field(default_factory=list[Button | Link])
    """What can be clicked, from top to bottom."""

    def way(self, label: str) -> Button | Link | None:
        """What a person takes for `label`: words that begin with it before words that hold it, buttons before links."""
        wanted = label.casefold()
        held = [way for way in self.ways if wanted in way.label.casefold()]
        return min(
            held, key=lambda way: (not way.label.casefold().startswith(wanted), isinstance(way, Link)), default=None
        )


def read_page(html: str, *, url: str, status: int) -> Page:
    """The page in `html`."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return Page(url=url, status=status, text=_words(reader.text), ways=reader.ways)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.text: list[str] = []
        self.ways: list[Button | Link] = []
        self._form: Form | None = None
        self._button: Button | None = None
        self._link: str | None = None
        self._label: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if self._silent or tag in SILENT or given.get("aria-hidden") == "true":
            # What is not shown, or only decoration: neither it nor anything in it counts.
            self._silent += tag not in VOID
        elif tag == "form":
            self._form = Form(action=given.get("action", ""), method=given.get("method", "get").lower())
        elif tag == "input":
            self._input(given)
        elif tag == "button" and self._form is not None and given.get("type", "submit").lower() == "submit":
            self._button = Button(label="", form=self._form, name=given.get("name"), value=given.get("value", ""))
            self._label = []
        elif tag == "a" and "href" in given:
            self._link = given["href"]
            self._label = []

    def handle_endtag(self, tag: str) -> None:
        if self._silent:
            self._silent -= tag not in VOID
        elif tag == "form":
            self._form = None
        elif tag == "button" and self._button is not None:
            self._button.label = _words(self._label)
            self.ways.append(self._button)
            self._button = None
        elif tag == "a" and self._link is not None:
            self.ways.append(Link(label=_words(self._label), url=self._link))
            self._link = None

    def handle_data(self, data: str) -> None:
        if self._silent:
            return
        self.text.append(data)
        if self._button is not None or self._link is not None:
            self._label.append(data)

    def _input(self, given: dict[str, str]) -> None:
        if self._form is None:
            return
        kind = given.get("type", "text").lower()
        name = given.get("name")
        if kind in {"submit", "image"}:
            label = given.get("value", "") or given.get("alt", "")
            self.ways.append(Button(label=label, form=self._form, name=name, value=given.get("value", "")))
        elif name and (kind not in {"checkbox", "radio"} or "checked" in given) and kind not in {"button", "reset"}:
            default = "on" if kind in {"checkbox", "radio"} else ""
            self._form.fields.append((name, given.get("value", default)))


def _words(pieces: list[str]) -> str:
    return " ".join(" ".join(pieces).split())
