"""The smoke test against the whole local environment, as `make run` starts it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.headless_browser import run

if TYPE_CHECKING:
    from tests.support.stack import Stack


def test_smoke_test_passes_and_a_person_signs_in_with_the_systems_browser(stack: Stack) -> None:
    outcome = run("-m", "ops", "smoke", stack.url, "--sign-in", "--sign-in-seconds", "60")
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    assert "Everything passed" in outcome.stdout
    assert '"name": "Local User", "username": "user@local.example"' in outcome.stdout
    assert "5 of 5" in outcome.stdout
    assert "add needs a, b" in outcome.stdout
