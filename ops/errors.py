"""Every error that a command reports: its message says what to do, and its exit code says what kind it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence


class OpsError(Exception):
    """Root of the tree: the command could not do what it is for."""

    exit_code: ClassVar[int] = 1


class UsageError(OpsError):
    """The command was called in a way that it cannot be meant."""

    exit_code: ClassVar[int] = 2


class MissingInputsError(UsageError):
    """Inputs that are neither in the environment nor among the options."""

    def __init__(self, names: Sequence[str]) -> None:
        listed = "\n".join(f"  {name}  or  {flag_of(name)}" for name in names)
        super().__init__(
            f"{len(names)} input(s) are missing:\n{listed}\n"
            "azd knows them after `azd provision`: run the command in the folder of azure.yaml, choose another of "
            "azd's environments with --environment, or give them as options."
        )


class BadInputError(UsageError):
    """An input that cannot be what it should be; its value is not shown."""

    def __init__(self, name: str, problem: str) -> None:
        self.name = name
        super().__init__(f"{name} (or {flag_of(name)}) {problem}.")


class SignInError(OpsError):
    """No token for an API: nobody is signed in, or Entra ID refuses; `said` is the reason as it was given."""

    def __init__(self, *, resource: str, said: str, remedy: str) -> None:
        self.resource = resource
        self.said = said
        self.remedy = remedy
        super().__init__(f"There is no token for {resource}: {said}\n{remedy}")


class UnreachableError(OpsError):
    """A service did not answer, however often it was asked."""


class ApiError(OpsError):
    """A service refused a request; `code` is its own name for the reason, empty when it gave none."""

    def __init__(self, *, service: str, request: str, status: int, text: str, remedy: str, code: str = "") -> None:
        self.service = service
        self.request = request
        self.status = status
        self.code = code
        self.text = text
        reason = ": ".join(part for part in (code, text) if part)
        super().__init__(
            f"{service} answered {status} to {request}{f': {reason}' if reason else ''}\n{remedy}".rstrip()
        )


def flag_of(name: str) -> str:
    """The option that stands for an environment variable."""
    return f"--{name.lower().replace('_', '-')}"
