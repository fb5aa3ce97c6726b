"""Adds the documents outside of docs/ to the site, and leads the links of all documents to where the site has them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md"}
"""Documents of the repository, and where the site has them."""

LINK = re.compile(r"(?P<before>\]\(|src=\"|srcset=\")(?P<target>[^)\"\s#]+)(?P<anchor>#[\w-]+)?(?P<after>[)\"])")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the documents to the site."""
    for name, page in PAGES.items():
        files.append(File.generated(config, page, content=(ROOT / name).read_text("utf-8")))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead links to where the site has their target; what it has not is named, without a link."""
    source = page.file.src_uri
    folder = (ROOT if source in PAGES.values() else (ROOT / "docs" / source).parent).resolve()
    depth = "../" * source.count("/")

    def replaced(found: re.Match[str]) -> str:
        target, anchor = found["target"], found["anchor"] or ""
        if re.match(r"[a-z]+:", target):
            return found[0]
        path = (folder / target).resolve()
        name = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else ""
        if name in PAGES:
            return f"{found['before']}{depth}{PAGES[name]}{anchor}{found['after']}"
        if name.startswith("docs/") and path.is_file():
            return f"{found['before']}{depth}{name.removeprefix('docs/')}{anchor}{found['after']}"
        return f"{found['before']}{OUTSIDE}{found['after']}"

    return _without_outside(LINK.sub(replaced, markdown))


OUTSIDE = "outside-of-the-site"


def _without_outside(markdown: str) -> str:
    """Drops badges, which are pictures of other machines; links to what the site has not become their text."""
    badge = rf"!\[[^\]]*\]\((?:https:[^)]*|{OUTSIDE})\)"
    without = re.sub(rf"^(?:\[{badge}\]\([^)]*\)|{badge}) *\n", "", markdown, flags=re.MULTILINE)
    return re.sub(rf"\[([^\]]*)\]\({OUTSIDE}\)", r"\1", without)
