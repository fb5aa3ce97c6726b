"""Private attributes of other packages that the engine sets: each is there, has a reason, and no other is set.

An attribute that a new version of its package no longer has would be set without effect, and without an error.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import textwrap
from pathlib import Path
from typing import NamedTuple

from fastmcp import FastMCP

import entra_mcp


class Assignment(NamedTuple):
    """A private attribute of another package, and the module that sets it."""

    package: str
    owner: str
    attribute: str
    module: str


REASONS = {
    Assignment("fastmcp", "OAuthProxy", "_token_validator", "auth.provider"): (
        "the provider builds a verifier that pins one issuer, which `organizations` and `consumers` do not have"
    ),
    Assignment("fastmcp", "OAuthProxy", "_cimd_manager", "auth.provider"): (
        "documents of clients are to be fetched by a guarded fetcher, and there is no parameter for it"
    ),
    Assignment("fastmcp", "OAuthProxy", "_upstream_authorization_endpoint", "auth.provider"): (
        "a local stand-in serves its sign-in page elsewhere than under the authority"
    ),
    Assignment("fastmcp", "OAuthProxy", "_jwt_issuer", "auth.provider"): (
        "FastMCP's issuer knows one key, and accepts tokens without an expiry"
    ),
    Assignment("fastmcp", "CIMDClientManager", "_fetcher", "auth.client_documents"): (
        "the manager makes its fetcher itself"
    ),
    Assignment("fastmcp", "JWTVerifier", "_http_client", "auth.verifier"): (
        "keys are fetched over the connections that this server has open; `AzureJWTVerifier` takes no client"
    ),
    Assignment("fastmcp", "FastMCP", "_mcp_server", "server.input_schemas"): (
        "the low-level server takes a look-up of schemas, for which FastMCP has no parameter"
    ),
    Assignment("key_value", "BaseStore", "_setup_complete", "storage.store"): (
        "the base class sets up under a lock, which belongs to one event loop"
    ),
    Assignment("azure_functions_runtime", "HttpV2Registry", "_http_v2_enabled_checked", "functions.http_stream"): (
        "the registry remembers that there was no web extension when it was asked first"
    ),
}

VARIABLES = {"server": FastMCP}
"""Of what class a variable is whose private attribute is set."""


def modules() -> dict[str, ast.Module]:
    folder = Path(entra_mcp.__file__).parent
    names = [found.name for found in pkgutil.walk_packages([str(folder)], "entra_mcp.")]
    found: dict[str, ast.Module] = {}
    for name in names:
        source = inspect.getsource(importlib.import_module(name))
        found[name.removeprefix("entra_mcp.")] = ast.parse(source)
    return found


def private_targets(tree: ast.AST) -> set[tuple[str, str]]:
    """Whose private attributes are set: what is written before the first one, and its name."""
    found: set[tuple[str, str]] = set()
    for node in ast.walk(tree):
        targets = node.targets if isinstance(node, ast.Assign) else []
        if isinstance(node, ast.AnnAssign | ast.AugAssign):
            targets = [node.target]
        for target in targets:
            for part in ast.walk(target):
                if isinstance(part, ast.Attribute) and part.attr.startswith("_"):
                    found.add((ast.unparse(part.value), part.attr))
    return found


def assigned_by(kind: type) -> set[str]:
    """Private attributes that the class itself gives its instances, or has."""
    source = ast.parse(textwrap.dedent(inspect.getsource(kind)))
    return {name for owner, name in private_targets(source) if owner == "self"} | {
        name for name in vars(kind) if name.startswith("_") and not name.startswith("__")
    }


def foreign_owner(kind: type, attribute: str) -> type | None:
    """The class of another package from which the attribute comes."""
    for base in kind.__mro__:
        if base.__module__ in {"builtins", "typing", "abc"} or base.__module__.startswith("entra_mcp"):
            continue
        if attribute in assigned_by(base):
            return base
    return None


def assignments() -> set[Assignment]:
    """What the engine sets, as far as the other package still has it."""
    found: set[Assignment] = set()
    for name, tree in modules().items():
        module = importlib.import_module(f"entra_mcp.{name}")
        places = [(VARIABLES.get(owner) or getattr(module, owner, None), at) for owner, at in private_targets(tree)]
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                own = getattr(module, node.name, None)
                places += [(own, attribute) for owner, attribute in private_targets(node) if owner == "self"]
        for kind, attribute in places:
            foreign = foreign_owner(kind, attribute) if isinstance(kind, type) else None
            if foreign is not None:
                found.add(Assignment(foreign.__module__.partition(".")[0], foreign.__name__, attribute, name))
    return found


def test_private_attributes_that_are_set_are_those_with_a_reason() -> None:
    assert assignments() == set(REASONS)
