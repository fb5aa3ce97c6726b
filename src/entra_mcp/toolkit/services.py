"""What the server opened once and tools ask for by its type: the settings, clients of databases and other APIs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast, override

from fastmcp.dependencies import Dependency
from fastmcp.server.dependencies import get_context

if TYPE_CHECKING:
    from collections.abc import Iterable

_LIFESPAN_KEY = "services"


def as_lifespan(services: Iterable[object]) -> dict[str, Any]:
    """What the server's lifespan yields, so that these are found.

    Raises:
        ValueError: two are of one type, so that nobody knows which of them a tool asks for.
    """
    found: dict[type, object] = {}
    for each in services:
        if found.setdefault(type(each), each) is not each:
            raise ValueError(f"The server opened two of the type {type(each).__name__}. Give one a class of its own.")
    return {_LIFESPAN_KEY: found}


def service[T](kind: type[T]) -> T:
    """The one of this type, of the server whose tool is being called.

    Raises:
        LookupError: none was opened.
    """
    found: dict[type, Any] = get_context().lifespan_context[_LIFESPAN_KEY]
    try:
        return found[kind]
    except KeyError:
        message = f"No {kind.__name__} was opened. Open it in the function that the app's Server has for services."
        raise LookupError(message) from None


def Service[T](kind: type[T], *, optional: bool = False) -> T:  # noqa: N802 - written like FastMCP's own dependencies
    """Declares, as a parameter's default, that a tool needs the one of this type; `Server(services=...)` opens them.

    A tool whose optional service was not opened is not offered.
    """
    return cast("T", ServiceDependency(kind, optional=optional))


class ServiceDependency[T](Dependency[T]):
    """Finds the service when the tool is called."""

    def __init__(self, kind: type[T], *, optional: bool) -> None:
        self.kind: type[object] = kind
        self.optional = optional

    @override
    async def __aenter__(self) -> T:
        return cast("T", service(self.kind))
