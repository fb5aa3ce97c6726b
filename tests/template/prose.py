"""Reads Markdown and Python as a reader does: sentences without code, and the words that this repository avoids.

The measure is a reader whose first language is not English: short sentences, and the usual word for each thing.
"""

from __future__ import annotations

import ast
import inspect
import io
import re
import tokenize
from dataclasses import dataclass
from statistics import median

MEDIAN_WORDS = 20
"""The median sentence of a document is shorter than this."""
MAX_WORDS = 40
"""No sentence is longer."""

PLAIN_WORDS = {
    r"tell|tells|telling|told": "describe, show, say",
    r"mend|mends|mended|mending": "fix",
    r"anew": "again",
    r"lie|lies|lay": "is stored, is",
    r"makes": "creates",
    r"goes the way of|go the way of": "follows",
    r"whosever|whatsoever|wherever it stands|thereof|therein": "name the thing",
}
"""A word that is not used, and what to write in its place."""

FENCE = re.compile(r"^ *(```|~~~).*?^ *\1 *$", re.MULTILINE | re.DOTALL)
END = re.compile(r"(?<=[.?!])(?<!e\.g\.)(?<!i\.e\.)[\"')*_]* +(?=[\"'(*_\x00]*[A-Z0-9\x00])")
CODE = "\x00"
"""Stands for a span of code, which counts as one word."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence, or a part of a list or table that stands for one, on a line counted from 1."""

    line: int
    text: str

    @property
    def words(self) -> int:
        """How many words it has; a span of code is one."""
        return sum(any(each.isalnum() or each == CODE for each in word) for word in self.text.split())

    def __str__(self) -> str:
        return f"line {self.line}, {self.words} words: {self.text.replace(CODE, '`...`')}"


def sentences(markdown: str) -> list[Sentence]:
    """The sentences of paragraphs, list items, table cells and headings, in their order."""
    return [
        Sentence(line, text.strip())
        for line, block in _blocks(_without_code(markdown))
        for text in END.split(block)
        if any(each.isalpha() for each in text)
    ]


def python_prose(source: str) -> list[tuple[int, str]]:
    """The comments and docstrings of a Python file, each with the line on which it begins, counted from 1."""
    comments = [
        (token.start[0], token.string.lstrip("# "))
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    ]
    docstrings = [
        (node.lineno, inspect.cleandoc(node.value.value))
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    ]
    return comments + docstrings


def without_tables(docstring: str) -> str:
    """Its sentences: not its columns, which are set off by spaces, nor what is indented."""
    return re.sub(r"^(?: +.*|.*\S {2,}\S.*)$", "", docstring, flags=re.MULTILINE)


def unplain_words(markdown: str) -> list[str]:
    """Each use of a word that is not used here, with its line and what to write instead."""
    found: list[str] = []
    for number, line in enumerate(_without_code(markdown).splitlines(), 1):
        for pattern, instead in PLAIN_WORDS.items():
            found += [
                f"line {number}: {used[0]!r}; write {instead}"
                for used in re.finditer(rf"\b(?:{pattern})\b", line, re.IGNORECASE)
            ]
    return found


def long_sentences(markdown: str) -> list[str]:
    """The sentences that are too long."""
    return [str(sentence) for sentence in sentences(markdown) if sentence.words > MAX_WORDS]


def median_words(markdown: str) -> float:
    """How long half of the sentences are at most; headings and cells of one to three words are no sentences."""
    lengths = [sentence.words for sentence in sentences(markdown) if sentence.words > 3]
    return median(lengths) if lengths else 0.0


def _without_code(markdown: str) -> str:
    """The text with its lines where they were: code, comments and tags are blank, links are their text."""
    text = re.sub(r"<!--.*?-->", _blank, FENCE.sub(_blank, markdown), flags=re.DOTALL)
    text = re.sub(r"`+[^`]+`+", lambda found: CODE + _blank(found), text)
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", lambda found: CODE if "." in found[1] else found[1], text)
    return re.sub(r"</?[a-z][^>]*>", _blank, text)


def _blank(found: re.Match[str]) -> str:
    """The line breaks alone."""
    return re.sub(r"[^\n]", "", found[0])


def _blocks(text: str) -> list[tuple[int, str]]:
    found: list[tuple[int, str]] = []
    open_block = False
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip(" >")
        if stripped.startswith("|"):
            found += [(number, cell.strip()) for cell in stripped.strip("|").split(" | ")]
            open_block = False
        elif re.match(r"([-*+]|\d+\.) |#", stripped) or not open_block:
            found.append((number, re.sub(r"^([-*+]|\d+\.|#+) +", "", stripped)))
            open_block = not stripped.startswith("#")
        elif stripped:
            found[-1] = (found[-1][0], f"{found[-1][1]} {stripped}")
        open_block = open_block and bool(stripped)
    return found
