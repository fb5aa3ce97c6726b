"""Every error that this application raises itself, under one root."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from key_value.aio.errors import StoreConnectionError

if TYPE_CHECKING:
    from collections.abc import Sequence


class EntraMcpError(Exception):
    """Root of the tree."""


@dataclass(frozen=True, slots=True)
class SettingFault:
    """What is wrong with one setting; never holds the setting's value, which may be a secret."""

    setting: str
    problem: str

    def __str__(self) -> str:
        return f"{self.setting}: {self.problem}"


class SettingsError(EntraMcpError):
    """The environment does not describe a server that may start; `faults` lists all that is wrong with it."""

    def __init__(self, faults: Sequence[SettingFault]) -> None:
        self.faults = tuple(faults)
        lines = "\n".join(f"  {fault}" for fault in self.faults)
        super().__init__(f"The settings have {len(self.faults)} fault(s):\n{lines}")


class ComponentsError(EntraMcpError):
    """Modules of the app are faulty; `faults` names each of them."""

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("The app cannot be served:\n" + "\n".join(f"  {fault}" for fault in self.faults))


class DependencyError(EntraMcpError):
    """Something the server cannot work without is missing, misconfigured or out of reach.

    `component` is the name that the readiness page shows; the message is for the log only.
    """

    def __init__(self, component: str, problem: str) -> None:
        self.component = component
        super().__init__(f"{component}: {problem}")


class VaultError(DependencyError):
    """Key Vault did not give a secret, or gave one that cannot be used."""

    def __init__(self, problem: str) -> None:
        super().__init__("key_vault", problem)


class StorageError(DependencyError, StoreConnectionError):
    """Table Storage did not answer, or the table is not there.

    Also a `StoreConnectionError`, which is what callers of a key-value store know.
    """

    def __init__(self, problem: str) -> None:
        super().__init__("table_storage", problem)


class UpstreamUnavailableError(DependencyError):
    """Entra ID does not answer, or its answer says nothing about the request.

    `retry_after` is how many seconds Entra ID asks to wait, when it does.
    """

    def __init__(self, problem: str, *, retry_after: int | None = None) -> None:
        self.retry_after = retry_after
        super().__init__("entra_id", problem)


def first_line(error: Exception) -> str:
    """The first line of an error's text; the SDK's errors go on with whole responses."""
    return next(iter(str(error).splitlines()), "")
