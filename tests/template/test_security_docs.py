"""docs/security.md names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]


def test_every_test_that_the_security_document_names_exists() -> None:
    document = (TESTS.parent / "docs" / "security.md").read_text("utf-8")
    module = ""
    missing: list[str] = []
    named = re.findall(r"`([\w/]*\.?p?y?)::(test_\w+)`", document)
    for path, test in named:
        module = path or module
        file = next(path for path in (TESTS / "engine" / module, TESTS / module) if path.is_file())
        if f"def {test}(" not in file.read_text("utf-8"):
            missing.append(f"{module}::{test}")
    assert named
    assert missing == []
