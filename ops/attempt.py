"""One check that cannot be made does not keep the others from being made, nor a deployment from being tried."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops.errors import ApiError, SignInError, UnreachableError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ops.report import Report


def attempt(report: Report, name: str, check: Callable[[], None]) -> None:
    """Runs the check; a refusal of it is noted, and a sign-in that it lacks is a finding."""
    try:
        check()
    except (ApiError, UnreachableError, UsageError) as error:
        report.note(name, f"could not be looked at. {error}")
    except SignInError as error:
        report.finding(name, "could not be looked at", remedy=str(error))
