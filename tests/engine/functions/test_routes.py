"""Route templates fit what they fit in ASP.NET Core, and the most specific one wins."""

from __future__ import annotations

import pytest

from local.host.errors import RouteError
from local.host.messages import Function
from local.host.routes import RouteTable, RouteTemplate


def function(name: str, route: str | None = None, **trigger: object) -> Function:
    binding = {"type": "httpTrigger", "name": "req", **({} if route is None else {"route": route}), **trigger}
    return Function(name=name, id=name, bindings=[{"type": "http", "name": "$return"}, binding])


def found(table: RouteTable, path: str, method: str = "GET") -> str | None:
    match = table.find(method, path.encode())
    return match[0].function.name if match else None


@pytest.mark.parametrize(
    ("template", "path", "params"),
    [
        ("{*path}", "/", {"path": ""}),
        ("{*path}", "/a/b", {"path": "a/b"}),
        ("{**path}", "/a/b", {"path": "a/b"}),
        ("{*path}", "/a//b", {"path": "a//b"}),
        ("{*path}", "/caf%C3%A9", {"path": "café"}),
        ("{*path}", "/a%2Fb%2fc", {"path": "a%2Fb%2Fc"}),
        ("items/{id}", "/items/7", {"id": "7"}),
        ("items/{id}", "/ITEMS/7/", {"id": "7"}),
        ("items/{id}", "/items", None),
        ("items/{id}", "/items//", None),
        ("items/{id}", "/items/7/x", None),
        ("items/{id?}", "/items", {}),
        ("items/{id?}", "/items/7", {"id": "7"}),
        ("items/{id:int}", "/items/-7", {"id": "-7"}),
        ("items/{id:int}", "/items/x", None),
        ("items/{id:int?}", "/items", {}),
        (
            "items/{id:guid}",
            "/items/11111111-1111-4111-8111-111111111111",
            {"id": "11111111-1111-4111-8111-111111111111"},
        ),
        ("items/{id:guid}", "/items/1111", None),
        ("{flag:bool}", "/TRUE", {"flag": "TRUE"}),
        ("{flag:bool}", "/yes", None),
        ("{name:alpha:minlength(2):maxlength(3)}", "/abc", {"name": "abc"}),
        ("{name:alpha:minlength(2):maxlength(3)}", "/a", None),
        ("{name:length(2)}", "/ab", {"name": "ab"}),
        ("{number:long}", "/1234567890123", {"number": "1234567890123"}),
        ("{*ignored:maxlength(0)}", "/", {"ignored": ""}),
        ("{*ignored:maxlength(0)}", "/a", None),
        ("a/b", "/a", None),
        ("", "/", {}),
    ],
)
def test_template_fits_path(template: str, path: str, params: dict[str, str] | None) -> None:
    assert RouteTemplate(template).match(path.encode()) == params


@pytest.mark.parametrize(
    "template", ["{*path}/end", "a{b}c", "{a}{b}", "{", "{id:regex(^x$)}", "{id:date}", "{id=5}", "items/{}"]
)
def test_template_that_this_host_does_not_know_is_refused(template: str) -> None:
    with pytest.raises(RouteError, match="Route"):
        RouteTemplate(template)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/items/new", "literal"),
        ("/items/7", "constrained"),
        ("/items/x", "parameter"),
        ("/items/x/y", "tree"),
        ("/elsewhere", "everything"),
        ("/", "everything"),
        ("/administrator", "everything"),
        ("/admin", None),
        ("/ADMIN/host/status", None),
        ("/runtime/x", None),
    ],
)
def test_most_specific_route_wins_in_any_order(path: str, name: str | None) -> None:
    functions = [
        function("everything", "{*path}"),
        function("tree", "items/{*rest}"),
        function("parameter", "items/{id}"),
        function("constrained", "items/{id:int}"),
        function("literal", "items/new"),
    ]
    assert found(RouteTable(functions, prefix=""), path) == name
    assert found(RouteTable(reversed(functions), prefix=""), path) == name


def test_methods_choose_between_functions_of_one_route() -> None:
    table = RouteTable([function("read", "x", methods=["GET"]), function("write", "x", methods=["post"])], prefix="")

    assert found(table, "/x") == "read"
    assert found(table, "/x", "POST") == "write"
    assert found(table, "/x", "DELETE") is None


def test_prefix_and_function_name_make_the_default_route() -> None:
    table = RouteTable([function("hello")], prefix="api")

    assert found(table, "/api/hello") == "hello"
    assert found(table, "/hello") is None


def test_auth_level_defaults_to_function_as_in_azure() -> None:
    table = RouteTable([function("hello"), function("open", authLevel="ANONYMOUS")], prefix="")

    assert {route.function.name: route.auth_level for route in table.routes} == {
        "hello": "function",
        "open": "anonymous",
    }
