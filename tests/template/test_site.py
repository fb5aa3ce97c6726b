"""The documents as a site: every page is there, links are followed, nothing is loaded from another machine."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING, override

import pytest

from local.config import REPOSITORY
from tests.template.forks import copy_of_the_template, python

if TYPE_CHECKING:
    from pathlib import Path


class Loaded(HTMLParser):
    """The addresses that a browser loads for a page."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if tag in {"img", "script", "source"} or (tag == "link" and named.get("rel") == "stylesheet"):
            self.addresses += [value for name in ("src", "href", "srcset") if (value := named.get(name))]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    python(REPOSITORY, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(folder))
    return folder


def test_every_document_is_a_page(site: Path) -> None:
    for document in (REPOSITORY / "docs").rglob("*.md"):
        page = document.relative_to(REPOSITORY / "docs").with_suffix(".html")
        page = page.with_name("index.html") if page.name == "README.html" else page
        assert (site / page).is_file(), page
    assert (site / "search" / "search_index.json").is_file()


def test_first_page_is_the_readme_with_links_that_the_site_has(site: Path) -> None:
    first = (site / "index.html").read_text("utf-8")
    assert 'href="why.html"' in first
    assert 'href="guides/database.html"' in first
    assert 'href="contributing.html"' in first
    assert "docs/pictures/" not in first
    assert "../../generate" not in first


def test_nothing_is_loaded_from_another_machine(site: Path) -> None:
    for page in site.rglob("*.html"):
        found = Loaded()
        found.feed(page.read_text("utf-8"))
        assert found.addresses
        assert [address for address in found.addresses if re.match(r"(https?:)?//", address)] == [], page


def test_link_that_leads_nowhere_is_a_failure(tmp_path: Path) -> None:
    copy_of_the_template(tmp_path)
    document = tmp_path / "docs" / "upgrade.md"
    document.write_text(f"{document.read_text('utf-8')}\n[Nowhere](deploy.md#no-such-heading)\n", "utf-8")
    assert "no-such-heading" in python(tmp_path, "-m", "mkdocs", "build", fails=True)
