"""The documents hold what the tool knows, and name every command."""

from __future__ import annotations

import re

import pytest

from local.config import REPOSITORY
from local.entra.errors import KINDS
from ops.aadsts import AADSTS, codes_in, codes_shown, parse_code
from ops.commands import load
from ops.refusals import REFUSALS
from ops.smoke.discovery import COMPONENTS
from tests.support.sources import python_files

TROUBLESHOOTING = (REPOSITORY / "docs" / "troubleshooting.md").read_text("utf-8")
OPERATE = (REPOSITORY / "docs" / "operate.md").read_text("utf-8")


def rows(pattern: str) -> list[tuple[str, ...]]:
    """The cells of the table rows whose first cell matches."""
    found = [
        line.strip("|").split(" | ") for line in TROUBLESHOOTING.splitlines() if re.match(rf"\| {pattern} \|", line)
    ]
    return [tuple(cell.strip() for cell in cells) for cells in found]


def test_codes_of_entra_are_in_their_order() -> None:
    assert list(AADSTS) == sorted(AADSTS)


def test_components_of_readiness_are_documented() -> None:
    assert {name for name, _ in rows(r"`[a-z_]+`")} == {f"`{name}`" for name in COMPONENTS}


def test_codes_named_anywhere_are_explained() -> None:
    """In the documents, in this tool's own findings, and in what the server's documents complain of."""
    places = [*(REPOSITORY / "docs").rglob("*.md"), *python_files(REPOSITORY / "ops"), REPOSITORY / "README.md"]
    named = {code for place in places for code in codes_in(place.read_text("utf-8"))}
    assert named - set(AADSTS) == set()


def test_most_of_what_the_stand_in_can_answer_is_explained() -> None:
    """Not the faults of a client library that an operator can do nothing about."""
    assert len(set(KINDS) & set(AADSTS)) >= len(KINDS) // 2


@pytest.mark.parametrize("command", load(), ids=lambda command: command.name)
def test_every_command_is_in_the_operators_guide(command: object) -> None:
    name = getattr(command, "name", "")
    assert f"| `{name}` |" in OPERATE


def test_lock_of_the_deployment_is_removed_by_the_command_that_is_given() -> None:
    template = (REPOSITORY / "infra" / "modules" / "lock.bicep").read_text("utf-8")
    (name,) = re.findall(r"^  name: '(.+)'$", template, re.MULTILINE)
    assert f"`az lock delete --name {name} --resource-group <name>`" in REFUSALS["ScopeLocked"]


@pytest.mark.parametrize(
    ("page", "codes"),
    [
        ("AADSTS50011: The redirect URI", [50011]),
        ('"strServiceExceptionMessage":"AADSTS700016: Application with', [700016]),
        ("?error=x&error_description=AADSTS65001%3A+The+user", [65001]),
        ("?error_description=AADSTS65001%3a%20The", [65001]),
        ("answers AADSTS65001: consent needed", []),
        ("AADSTS65001", []),
        ("AADSTS50011: One. AADSTS50011: Two. AADSTS90002: Three", [50011, 90002]),
    ],
)
def test_error_that_a_page_shows_is_told_from_one_that_it_mentions(page: str, codes: list[int]) -> None:
    assert codes_shown(page) == codes


@pytest.mark.parametrize(
    ("text", "code"),
    [("AADSTS65001", 65001), (" 65001 ", 65001), ("aadsts7000215", 7000215), ("AADSTS", None), ("x", None)],
)
def test_code_is_read_as_people_write_it(text: str, code: int | None) -> None:
    assert parse_code(text) == code
