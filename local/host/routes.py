"""Which function a request is for, and which paths the host keeps for itself."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from local.host.errors import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from local.host.messages import Function

_SEGMENT = re.compile(r"(?P<literal>[^{}]+)|\{(?P<star>\*?)(?P<name>\w+)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """An HTTP function and where it is reached: text, `{name}` for one segment, and `{*name}` for all that is left."""

    function: Function
    template: str
    methods: frozenset[str]

    def match(self, path: str) -> dict[str, str] | None:
        """The parameters of a path, or None if the template does not fit it."""
        pattern = "/".join(self._pattern(segment) for segment in self.template.split("/"))
        found = re.fullmatch(pattern, path.strip("/"), re.IGNORECASE)
        return {name: unquote(value) for name, value in found.groupdict().items()} if found else None

    @property
    def rank(self) -> tuple[bool, int, int]:
        """Lower is tried first: without a catch-all, more segments, fewer parameters."""
        return "{*" in self.template, -self.template.count("/"), self.template.count("{")

    def _pattern(self, segment: str) -> str:
        found = _SEGMENT.fullmatch(segment)
        if segment and found is None:
            raise UnsupportedError(
                f"Route {self.template!r}: segment {segment!r} is neither text, {{name}} nor {{*name}}."
            )
        if found is None or found["literal"]:
            return re.escape(segment)
        return f"(?P<{found['name']}>{'.*' if found['star'] else '[^/]+'})"


class RouteTable:
    """The HTTP functions of an app; raises UnsupportedError for what this host does not serve."""

    def __init__(self, functions: Iterable[Function], *, prefix: str) -> None:
        triggered = [function for function in functions if function.trigger["type"] == "httpTrigger"]
        self.routes = sorted((_route(function, prefix) for function in triggered), key=lambda route: route.rank)
        for route in self.routes:
            route.match("")

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        """The function of a request; a method that no fitting function takes is a 404, as in the real host."""
        for route in self.routes:
            params = route.match(path) if not route.methods or method in route.methods else None
            if params is not None:
                return route, params
        return None


def _route(function: Function, prefix: str) -> Route:
    trigger = function.trigger
    if str(trigger.get("authLevel", "function")).lower() != "anonymous":
        raise UnsupportedError(
            f"Function {function.name}: this host has no keys; use authLevel ANONYMOUS, or Core Tools."
        )
    template = f"{prefix}/{trigger.get('route', function.name)}".strip("/")
    methods = frozenset(str(method).upper() for method in trigger.get("methods") or ())
    return Route(function=function, template=template, methods=methods)
