"""The documents lead where they say, and name what the repository has; its modules stay short enough to read."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAX_LINES = 400
"""Lines of a module."""

DOCUMENTS = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "src").rglob("README.md"),
        *(file for file in (ROOT / "tests").rglob("README.md") if "node_modules" not in file.parts),
    ],
)
OF_TODAY = [document for document in DOCUMENTS if document.name != "CHANGELOG.md"]
CODE = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
EXAMPLE = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
WRITTEN_BY_THE_READER = {
    *("find_order.py", "test_find_order.py"),
    *("approve_order.py", "invoices.py", "list_invoices.py", "my_notes.py", "notes.py"),
}
"""What the README and the guides have a reader create."""

LINK = re.compile(r"\]\(([^)\s]+)\)")
OF_GITHUB = ("../../generate", "../../codespaces/new", "../../actions/workflows/")
"""Pages that GitHub has beside the README of any repository; relative, since a fork has an address of its own."""


def anchors(document: Path) -> set[str]:
    """The headings as the anchors that GitHub gives them."""
    headings = re.findall(r"^#+ (.*)$", CODE.sub("", document.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_links_lead_to_files_and_headings_that_exist(document: Path) -> None:
    broken: list[str] = []
    for link in LINK.findall(CODE.sub("", document.read_text("utf-8"))):
        if link.startswith("https://") or (document.name == "README.md" and link.startswith(OF_GITHUB)):
            continue
        name, _, anchor = link.partition("#")
        target = (document.parent / name).resolve() if name else document
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("document", OF_TODAY, ids=lambda document: document.name)
def test_modules_that_are_named_exist(document: Path) -> None:
    named = re.findall(r"`(?:\.\./)*([\w/]+\.py)`", document.read_text("utf-8"))
    assert [name for name in named if Path(name).name not in WRITTEN_BY_THE_READER and not is_module(name)] == []


def is_module(name: str) -> bool:
    """Whether a file of the repository's has this path, or ends with it."""
    folders = ("src", "local", "ops", "bench", "tests")
    return (ROOT / name).is_file() or any(True for folder in folders for _ in (ROOT / folder).rglob(name))


def test_examples_take_from_the_engine_what_it_has() -> None:
    examples = "".join(code for document in DOCUMENTS for code in EXAMPLE.findall(document.read_text("utf-8")))
    imported = re.findall(r"^from (entra_mcp[\w.]*) import (.+)$", examples, re.MULTILINE)
    assert imported
    for module, names in imported:
        found = importlib.import_module(module)
        assert [name for name in names.split(", ") if not hasattr(found, name)] == [], module


def test_place_of_every_module_is_described() -> None:
    first, second = re.findall(r"(?:^\|.*\n)+", (ROOT / "docs" / "how-it-works.md").read_text("utf-8"), re.MULTILINE)[
        :2
    ]
    package = ROOT / "src" / "entra_mcp"
    places = {path.name + ("/" if path.is_dir() else "") for path in package.iterdir() if path.suffix in {"", ".py"}}
    places -= {"__init__.py", "__pycache__/"}
    assert described(first) == places
    assert described(second) >= {"local/", "infra/", "ops/", "tests/", "bench/"}


def described(table: str) -> set[str]:
    """The names in the first column."""
    return {name for row in table.splitlines() for name in re.findall(r"`([\w./]+)`", row.split("|")[1])}


def test_no_module_is_too_long() -> None:
    folders = ("src", "local", "ops", "bench", "tests")
    modules = [path for name in folders for path in (ROOT / name).rglob("*.py") if "node_modules" not in path.parts]
    assert len(modules) > 100
    assert {path.name for path in modules if len(path.read_text("utf-8").splitlines()) > MAX_LINES} == set()


def test_what_a_fork_owns_stays_as_small_as_the_readme_says() -> None:
    found = re.search(r"`src/app` and `tests/app`: ([\d,]+) lines at most", (ROOT / "README.md").read_text("utf-8"))
    assert found
    owned = [path for name in ("src/app", "tests/app") for path in (ROOT / name).rglob("*.py")]
    assert sum(len(path.read_text("utf-8").splitlines()) for path in owned) < int(found[1].replace(",", ""))
