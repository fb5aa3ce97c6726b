"""The subcommands, one module each: a new one is a module with a COMMAND."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ops.command import Command


def load() -> tuple[Command, ...]:
    """Every subcommand, in the order of the names of their modules."""
    return tuple(import_module(f"{__name__}.{module.name}").COMMAND for module in iter_modules(__path__))
