"""The files of the local run that come with the template, and those that its documentation shows, can be used."""

from __future__ import annotations

import re
from pathlib import Path

from local.app_settings import SAMPLE
from local.directory import FILE, load_directory
from tests.support.standins import SETTINGS

ROOT = Path(__file__).parents[2]


def test_directory_file_of_the_template_has_the_api_of_its_sample() -> None:
    directory = load_directory(ROOT / FILE)
    assert directory.accounts["user"].name == "Local User"
    assert directory.apis["orders"].identifier_uri == "api://orders"
    assert "Orders.Read" in directory.apis["orders"].scopes


def test_settings_of_the_tests_are_those_that_come_with_the_template() -> None:
    assert SETTINGS.read_text("utf-8") == (ROOT / SAMPLE).read_text("utf-8")


def test_directory_file_in_the_documentation_is_good(tmp_path: Path) -> None:
    (example,) = re.findall(r"```json\n(.*?)```", (ROOT / "docs" / "local.md").read_text("utf-8"), re.DOTALL)
    (tmp_path / FILE).write_text(example, encoding="utf-8")
    assert [*load_directory(tmp_path / FILE).accounts] == ["user", "approver", "blocked"]
