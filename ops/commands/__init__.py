"""The subcommands, one module each: a new one is a module with a COMMAND, and its name in this list."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ops.command import Command

MODULES = (
    "preflight",
    "postprovision",
    "package",
    "rotate",
    "revoke",
    "tasks",
    "smoke",
    "doctor",
    "predown",
    "postdown",
    "local_tenant",
)


def load() -> tuple[Command, ...]:
    """Every subcommand, in the order of `--help`."""
    return tuple(import_module(f"{__name__}.{name}").COMMAND for name in MODULES)
