"""Which function a request is for: route templates, methods and precedence as in ASP.NET Core, which the host uses."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote
from uuid import UUID

from local.host.errors import RouteError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from local.host.messages import Function

_PARAMETER = re.compile(r"\{(?P<stars>\*{0,2})(?P<name>\w+)(?::(?P<constraints>.+?))?(?P<optional>\?)?\}")
_CONSTRAINT = re.compile(r"(?P<name>[a-z]+)(?:\((?P<argument>\d+)\))?")

RESERVED = ("admin", "runtime")
"""First segments that belong to the host, whatever the functions say."""


def _is_guid(value: str) -> bool:
    try:
        UUID(value)
    except ValueError:
        return False
    return True


_CONSTRAINTS: dict[str, Callable[[str, int], bool]] = {
    "int": lambda value, _: re.fullmatch(r"-?\d{1,10}", value, re.ASCII) is not None,
    "long": lambda value, _: re.fullmatch(r"-?\d{1,19}", value, re.ASCII) is not None,
    "bool": lambda value, _: value.lower() in {"true", "false"},
    "alpha": lambda value, _: re.fullmatch(r"[a-zA-Z]*", value) is not None,
    "guid": lambda value, _: _is_guid(value),
    "length": lambda value, n: len(value) == n,
    "minlength": lambda value, n: len(value) >= n,
    "maxlength": lambda value, n: len(value) <= n,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Segment:
    literal: str = ""
    parameter: str = ""
    constraints: tuple[tuple[str, int], ...] = ()
    optional: bool = False
    catch_all: bool = False

    @property
    def rank(self) -> int:
        """Lower is tried first: literal, constrained parameter, parameter, then the same for catch-alls."""
        if self.literal:
            return 1
        return 2 + (not self.constraints) + 2 * self.catch_all

    def accepts(self, value: str) -> bool:
        return all(_CONSTRAINTS[name](value, argument) for name, argument in self.constraints)


class RouteTemplate:
    """A parsed template such as `items/{id:int}/{*rest}`."""

    def __init__(self, template: str) -> None:
        self.template = template.strip("/")
        self._segments = [_segment(self.template, text) for text in self.template.split("/") if text]
        if any(segment.catch_all for segment in self._segments[:-1]):
            raise RouteError(template, "a catch-all parameter must be the last segment.")
        self.rank = tuple(segment.rank for segment in self._segments)

    def match(self, raw_path: bytes) -> dict[str, str] | None:
        """The parameters of a path, or None if the template does not fit it.

        An encoded slash is part of its segment and stays encoded, as in the real host.
        """
        values = [_decode(value) for value in raw_path.decode("latin-1").removeprefix("/").split("/")]
        if values and not values[-1]:
            values.pop()  # a slash at the end makes no difference
        params: dict[str, str] = {}
        for position, segment in enumerate(self._segments):
            if segment.catch_all:
                rest = "/".join(values[position:])
                return {**params, segment.parameter: rest} if segment.accepts(rest) else None
            if position >= len(values):
                if not segment.optional:
                    return None
                continue
            value = values[position]
            if segment.literal:
                if segment.literal.lower() != value.lower():
                    return None
            elif value and segment.accepts(value):
                params[segment.parameter] = value
            else:
                return None
        return params if len(values) <= len(self._segments) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """An HTTP function and where it is reached."""

    function: Function
    template: RouteTemplate
    methods: frozenset[str]
    auth_level: str

    @property
    def binding(self) -> str:
        return str(self.function.trigger["name"])


class RouteTable:
    """The HTTP functions of an app."""

    def __init__(self, functions: Iterable[Function], *, prefix: str) -> None:
        triggered = [function for function in functions if function.trigger["type"] == "httpTrigger"]
        self.routes = sorted((_route(function, prefix) for function in triggered), key=lambda r: r.template.rank)

    def find(self, method: str, raw_path: bytes) -> tuple[Route, dict[str, str]] | None:
        """The function of a request; a method that no fitting function takes is a 404, as in the real host."""
        if raw_path.decode("latin-1").lower().split("/")[1:2][0:1] in [[word] for word in RESERVED]:
            return None
        for route in self.routes:
            if route.methods and method not in route.methods:
                continue
            params = route.template.match(raw_path)
            if params is not None:
                return route, params
        return None


def _route(function: Function, prefix: str) -> Route:
    trigger = function.trigger
    own = trigger.get("route")
    template = function.name if own is None else str(own)
    return Route(
        function=function,
        template=RouteTemplate(f"{prefix}/{template}" if prefix else template),
        methods=frozenset(str(method).upper() for method in trigger.get("methods") or ()),
        auth_level=str(trigger.get("authLevel", "function")).lower(),
    )


def _segment(template: str, text: str) -> _Segment:
    if "{" not in text and "}" not in text:
        return _Segment(literal=text)
    match = _PARAMETER.fullmatch(text)
    if match is None:
        raise RouteError(template, f"segment {text!r} is neither text nor one {{parameter}}.")
    constraints: list[tuple[str, int]] = []
    for constraint in (match["constraints"] or "").split(":"):
        known = _CONSTRAINT.fullmatch(constraint)
        if known and known["name"] in _CONSTRAINTS:
            constraints.append((known["name"], int(known["argument"] or 0)))
        elif constraint:
            raise RouteError(template, f"constraint {constraint!r} is none of {', '.join(_CONSTRAINTS)}.")
    return _Segment(
        parameter=match["name"],
        constraints=tuple(constraints),
        optional=bool(match["optional"]),
        catch_all=bool(match["stars"]),
    )


def _decode(segment: str) -> str:
    return "%2F".join(unquote(part) for part in re.split("%2F", segment, flags=re.IGNORECASE))
