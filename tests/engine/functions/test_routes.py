"""A request finds its function: text before parameters before the rest, and what this host does not serve is named."""

from __future__ import annotations

import pytest

from local.host.errors import UnsupportedError
from local.host.messages import Function
from local.host.routes import RouteTable


def function(name: str, route: str | None = None, **trigger: object) -> Function:
    own = {"authLevel": "ANONYMOUS", **({} if route is None else {"route": route}), **trigger}
    return Function(name=name, id=name, trigger={"type": "httpTrigger", "name": "req", **own})


def found(table: RouteTable, path: str, method: str = "GET") -> str | None:
    match = table.find(method, path)
    return match[0].name if match else None


@pytest.mark.parametrize(
    ("template", "path", "params"),
    [
        ("{*path}", "/", {"path": ""}),
        ("{*path}", "/a/b", {"path": "a/b"}),
        ("{*path}", "/caf%C3%A9", {"path": "café"}),
        ("items/{id}", "/ITEMS/7/", {"id": "7"}),
        ("items/{id}", "/items", None),
        ("items/{id}", "/items/7/x", None),
        ("items/{*rest}", "/items/7/x", {"rest": "7/x"}),
        ("a/b", "/a", None),
        ("", "/", {}),
    ],
)
def test_template_fits_path(template: str, path: str, params: dict[str, str] | None) -> None:
    match = RouteTable([function("f", template)], prefix="").find("GET", path)
    assert (match[1] if match else None) == params


@pytest.mark.parametrize("template", ["a{b}c", "{a}{b}", "{", "{id:int}", "{id?}", "items/{}"])
def test_template_that_this_host_does_not_know_is_refused(template: str) -> None:
    with pytest.raises(UnsupportedError, match="Route"):
        RouteTable([function("f", template)], prefix="")


@pytest.mark.parametrize("level", ["function", "ADMIN", None])
def test_function_that_wants_a_key_is_refused(level: str | None) -> None:
    trigger = {"type": "httpTrigger", "name": "req", "route": "x", **({"authLevel": level} if level else {})}
    with pytest.raises(UnsupportedError, match="keys"):
        RouteTable([Function(name="keyed", id="1", trigger=trigger)], prefix="")


@pytest.mark.parametrize(
    ("path", "name"),
    [("/items/new", "literal"), ("/items/7", "parameter"), ("/items/x/y", "tree"), ("/x", "everything")],
)
def test_most_specific_route_wins_in_any_order(path: str, name: str) -> None:
    functions = [
        function("everything", "{*path}"),
        function("tree", "items/{*rest}"),
        function("parameter", "items/{id}"),
        function("literal", "items/new"),
    ]
    assert found(RouteTable(functions, prefix=""), path) == name
    assert found(RouteTable(reversed(functions), prefix=""), path) == name


def test_methods_choose_between_functions_of_one_route() -> None:
    table = RouteTable([function("read", "x", methods=["GET"]), function("write", "x", methods=["post"])], prefix="")

    assert found(table, "/x") == "read"
    assert found(table, "/x", "POST") == "write"
    assert found(table, "/x", "DELETE") is None


@pytest.mark.parametrize("prefix", ["api", "/api/"])
def test_prefix_and_function_name_make_the_default_route(prefix: str) -> None:
    table = RouteTable([function("hello")], prefix=prefix)

    assert found(table, "/api/hello") == "hello"
    assert found(table, "/hello") is None
