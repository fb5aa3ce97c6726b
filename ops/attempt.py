"""What a check is: it returns what is right, or raises what it found and what fixes that.

One that may find several things reports them by itself. It then returns None, as one does that has nothing to say.
One check that cannot be made does not keep the others from being made, nor a deployment from being tried.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops.errors import ApiError, OpsError, SignInError, UnreachableError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ops.report import Report


class FoundError(OpsError):
    """What a check found to be wrong, and what fixes it."""

    def __init__(self, reason: str, *, remedy: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy


class Note(str):
    """What a check returns that cannot say whether all is right, or that a person should know more."""

    __slots__ = ()


def expect(condition: object, reason: str, *, remedy: str) -> None:
    """Raises FoundError unless the condition holds."""
    if not condition:
        raise FoundError(reason, remedy=remedy)


def attempt(report: Report, name: str, check: Callable[[], str | None]) -> bool:
    """Runs the check, and reports what it returns or raises; nothing where it returns None.

    A refusal of the check is noted; a sign-in that it lacks is a finding. False when it raised a finding, which says
    nothing of what a check reported by itself.
    """
    try:
        said = check()
    except FoundError as found:
        report.finding(name, found.reason, remedy=found.remedy)
        return False
    except SignInError as error:
        report.finding(name, "could not be looked at", remedy=str(error))
        return False
    except (ApiError, UnreachableError, UsageError) as error:
        said = Note(f"could not be looked at. {error}")
    if isinstance(said, Note):
        report.note(name, said)
    elif said is not None:
        report.ok(name, said)
    return True
