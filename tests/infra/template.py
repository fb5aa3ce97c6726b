"""Reads the Bicep files of infra/ far enough for the tests: declarations, bodies, and which names each file uses."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from textwrap import dedent
from typing import TYPE_CHECKING

from local.config import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

INFRA = REPOSITORY / "infra"

OPENING = {"{": "}", "[": "]", "(": ")"}

FUNCTIONS = frozenset(
    re.findall(
        r"\w+",
        """cidrSubnet concat contains dateTimeToEpoch empty endsWith environment fail filter guid indexOf items join
        last length loadJsonContent loadTextContent map newGuid replace resourceGroup skip split startsWith subscription
        subscriptionResourceId take tenant toLower toObject trim union uniqueString""",
    )
)
"""The functions of Bicep that the templates use; a new one is added here."""

WORDS = frozenset(
    re.findall(
        r"\w+",
        """any array as bool existing extension false for if in int metadata module null object output param resource
        string targetScope true type var""",
    )
)


class TemplateError(Exception):
    """The text is not Bicep as this project writes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """One `param`, `var`, `output`, `resource` or `module`, from its decorators to its end."""

    kind: str
    name: str
    decorators: str
    head: str
    """The first line, without the keyword and the name."""
    text: str
    """All of it, without the decorators."""


class Template:
    """One Bicep file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.source = path.read_text("utf-8")

    @cached_property
    def declarations(self) -> list[Declaration]:
        return list(_declarations(self.source))

    def of(self, kind: str) -> dict[str, Declaration]:
        return {found.name: found for found in self.declarations if found.kind == kind}

    def value(self, kind: str, name: str) -> str | None:
        """What stands behind the `=` of a declaration; None when nothing does."""
        return self.of(kind)[name].text.partition("=")[2].strip() or None

    def params_given(self, module: str) -> set[str]:
        """The parameters that this file gives to one of its modules."""
        body = properties(_body(self.of("module")[module].text))
        return set(properties(body["params"])) if "params" in body else set()

    def module_file(self, module: str) -> Path:
        found = re.match(r" '([^']+)'", self.of("module")[module].head)
        if found is None:
            raise TemplateError(f"{self.path.name}: module {module} names no file")
        return self.path.parent / found[1]


def main() -> Template:
    return Template(INFRA / "main.bicep")


def templates() -> list[Template]:
    return [Template(path) for path in sorted(INFRA.rglob("*.bicep"))]


def properties(block: str) -> dict[str, str]:
    """The top-level properties of an object in braces, each with its value as text."""
    found: dict[str, str] = {}
    for line in _lines(dedent(block[1:-1])):
        name, separator, value = line.partition(":")
        if separator and re.fullmatch(r"\w+|'[^']+'", name.strip()):
            found[name.strip().strip("'")] = value.strip()
    return found


def strings(expression: str) -> list[str]:
    """The string literals of an expression, with their interpolations as they stand."""
    return [text[1:-1] for kind, text in _tokens(expression) if kind == "string"]


def identifiers(source: str) -> set[str]:
    """Names that are used, not declared: no property, no function, no keyword; what interpolations hold included."""
    found: set[str] = set()
    previous = ""
    tokens = [*_tokens(source), ("end", "")]
    for (kind, text), (_, following) in pairwise(tokens):
        if kind == "string":
            for inner in _interpolations(text):
                found |= identifiers(inner)
        elif kind == "name" and previous not in {".", "@", "::"} and not _is_key(previous, following):
            found.add(text)
        previous = text
    return found - WORDS


def balanced(source: str) -> bool:
    """Whether every bracket outside strings and comments is closed by its own kind."""
    waiting: list[str] = []
    for kind, text in _tokens(source):
        if kind == "mark" and text in OPENING:
            waiting.append(OPENING[text])
        elif kind == "mark" and text in OPENING.values() and (not waiting or waiting.pop() != text):
            return False
    return not waiting


def _is_key(previous: str, following: str) -> bool:
    """Whether a name between these is a property's; behind `in` or in a ternary the colon means something else."""
    return following == ":" and previous not in {"in", "?", "("}


TOKEN = re.compile(
    r"(?P<comment>(?://|#)[^\n]*)|(?P<string>'''.*?'''|'(?:\\.|\$\{(?:[^{}']|'[^']*')*\}|[^'\\])*')"
    r"|(?P<name>[A-Za-z_]\w*)|(?P<number>\d+)|(?P<mark>\.\.\.|::|\.\?|=>|\?\?|&&|\|\||[=!<>]=|[^\s\w])",
    re.DOTALL,
)


def _tokens(source: str) -> Iterator[tuple[str, str]]:
    for match in TOKEN.finditer(source):
        kind = match.lastgroup or ""
        if kind != "comment":
            yield kind, "." if match[0] == ".?" else match[0]


def _interpolations(string: str) -> list[str]:
    return re.findall(r"\$\{((?:[^{}']|'[^']*')*)\}", string)


def _lines(text: str) -> Iterator[str]:
    """Splits into logical lines: a line goes on while a bracket or a string is open, and when the next is indented."""
    depth = 0
    inside: set[int] = set()
    depths: dict[int, int] = {}
    for match in TOKEN.finditer(text):
        if match.lastgroup == "string":
            inside.update(range(match.start(), match.end()))
        elif match.lastgroup == "mark" and (match[0] in OPENING or match[0] in OPENING.values()):
            depth += 1 if match[0] in OPENING else -1
            depths[match.end()] = depth
    start = depth = 0
    for place, character in enumerate(text):
        depth = depths.get(place, depth)
        goes_on = place in inside or depth or text[place + 1 : place + 2] in {" ", "\t"}
        if character == "\n" and not goes_on:
            yield text[start:place]
            start = place + 1
    yield text[start:]


def _declarations(source: str) -> Iterator[Declaration]:
    decorators: list[str] = []
    for line in _lines(source):
        if not line or line.startswith("//"):
            continue
        if line.startswith("@"):
            decorators.append(line)
        elif match := re.match(r"(param|var|output|resource|module) (\w+)", line):
            head = line[match.end() :].split("\n", 1)[0]
            yield Declaration(
                kind=match[1], name=match[2], decorators="\n".join(decorators), head=head, text=line[match.end() :]
            )
            decorators = []
        else:
            decorators = []


def _body(text: str) -> str:
    return text[text.index("{") :].strip()
