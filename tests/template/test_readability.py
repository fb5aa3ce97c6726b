"""Documents, messages and comments are written for readers whose first language is not English."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.sources import python_files
from tests.template.prose import (
    MEDIAN_WORDS,
    Sentence,
    long_sentences,
    median_words,
    python_prose,
    sentences,
    unplain_words,
    without_tables,
)
from tests.template.test_docs_commands import strings

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    file
    for file in [
        *ROOT.glob("*.md"),
        *(ROOT / ".github").glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "src").rglob("README.md"),
        ROOT / "tests" / "engine" / "conformance" / "README.md",
    ]
    if file.name != "CHANGELOG.md"
]
PROGRAMS = [file for name in ("ops", "local", "src") for file in python_files(ROOT / name)]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_document_is_easy_to_read(document: Path) -> None:
    text = document.read_text("utf-8")
    assert long_sentences(text) == []
    assert unplain_words(text) == []
    assert median_words(text) < MEDIAN_WORDS


def test_messages_use_plain_words() -> None:
    found = [
        f"{file.relative_to(ROOT)}: {used} in {text[:60]!r}"
        for file in PROGRAMS
        for text in strings(file)
        if " " in text
        for used in unplain_words(text)
    ]
    assert found == []


@pytest.mark.parametrize("folder", ["src", "local", "ops", "bench", "tests"])
def test_comments_and_docstrings_are_easy_to_read(folder: str) -> None:
    found = [
        f"{file.relative_to(ROOT)}:{line}: {fault}"
        for file in python_files(ROOT / folder)
        for line, text in python_prose(file.read_text("utf-8"))
        for fault in [*unplain_words(text), *long_sentences(without_tables(text))]
    ]
    assert found == []


def test_comments_and_docstrings_are_found() -> None:
    source = '"""A module.\n\n    a  table\n"""\n\nX = "no prose"  # noqa: X1 - a reason\n"""What X is."""\n'
    assert python_prose(source) == [
        (6, "noqa: X1 - a reason"),
        (1, "A module.\n\na  table"),
        (7, "What X is."),
    ]
    assert without_tables("A module.\n\n    indented\nV10    a column\nThe end.").split() == [
        "A",
        "module.",
        "The",
        "end.",
    ]


def test_sentences_are_read_as_a_reader_does() -> None:
    text = "# A heading\n\nOne. Two with `code that. ends` inside!\n\n- A point\n  goes on.\n\n| a | b c |\n|---|---|\n"
    assert [sentence.text.replace("\x00", "_") for sentence in sentences(text)] == [
        "A heading",
        "One.",
        "Two with _ inside!",
        "A point goes on.",
        "a",
        "b c",
    ]


def test_long_sentence_is_found_with_its_line() -> None:
    long = "word " * 41
    assert long_sentences(f"Short.\n\n{long}.\n") == [str(Sentence(3, f"{long}."))]
    assert long_sentences("```\n" + long + "\n```\n") == []


def test_word_that_is_not_plain_is_found_but_not_in_code() -> None:
    assert unplain_words("It tells `what mends` it.") == ["line 1: 'tells'; write describe, show, say"]
