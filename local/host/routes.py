"""Which function a request is for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from local.host.errors import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from local.host.messages import Function

_SEGMENT = re.compile(r"\{(?P<star>\*?)(?P<name>\w+)\}|(?P<text>[^{}]*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """An HTTP function and where it is reached: text, `{name}` for one segment, and `{*name}` for all that is left."""

    function: Function
    template: str
    pattern: re.Pattern[str]
    methods: frozenset[str]


class RouteTable:
    """The HTTP functions of an app; raises UnsupportedError for what this host does not serve."""

    def __init__(self, functions: Iterable[Function], *, prefix: str) -> None:
        triggered = [function for function in functions if function.trigger["type"] == "httpTrigger"]
        self.routes = sorted((_route(function, prefix) for function in triggered), key=_rank)

    def find(self, method: str, path: str) -> tuple[Function, dict[str, str]] | None:
        """The function of a request; a method that no fitting function takes is a 404, as in the real host."""
        for route in self.routes:
            found = route.pattern.fullmatch(path.strip("/"))
            if found and (not route.methods or method in route.methods):
                return route.function, {name: unquote(value) for name, value in found.groupdict().items()}
        return None


def _route(function: Function, prefix: str) -> Route:
    trigger = function.trigger
    if str(trigger.get("authLevel", "function")).lower() != "anonymous":
        raise UnsupportedError(
            f"Function {function.name}: this host has no keys; use authLevel ANONYMOUS, or Core Tools."
        )
    template = f"{prefix.strip('/')}/{trigger.get('route', function.name)}".strip("/")
    return Route(
        function=function,
        template=template,
        pattern=re.compile("/".join(_pattern(template, segment) for segment in template.split("/")), re.IGNORECASE),
        methods=frozenset(str(method).upper() for method in trigger.get("methods") or ()),
    )


def _pattern(template: str, segment: str) -> str:
    found = _SEGMENT.fullmatch(segment)
    if found is None:
        raise UnsupportedError(f"Route {template!r}: segment {segment!r} is neither text, {{name}} nor {{*name}}.")
    star, name, text = found.groups()
    return f"(?P<{name}>{'.*' if star else '[^/]+'})" if name else re.escape(text)


def _rank(route: Route) -> tuple[bool, int, int]:
    """Lower is tried first: without a catch-all, more segments, fewer parameters."""
    return "{*" in route.template, -route.template.count("/"), route.template.count("{")
