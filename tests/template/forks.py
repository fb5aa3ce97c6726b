"""Creates forks of this repository in scratch folders, as somebody does who uses the template."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from local.config import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

IDENTITY = {
    **{f"GIT_{who}_NAME": "Test" for who in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{who}_EMAIL": "test@example.com" for who in ("AUTHOR", "COMMITTER")},
    "GIT_CONFIG_GLOBAL": os.devnull,
}

TOOL = '''\
"""Finds orders."""

from __future__ import annotations

from fastmcp.tools import tool

from app.services import Orders
from entra_mcp.toolkit import Caller, CurrentCaller, Service


@tool
async def find_orders(orders: Orders = Service(Orders), caller: Caller = CurrentCaller()) -> list[str]:
    """Find your orders."""
    return [f"{caller.name}: {order}" for order in orders.first(2)]
'''
RESOURCE = '''\
"""A resource."""

from __future__ import annotations

from fastmcp.resources import resource


@resource("orders://help", mime_type="text/plain")
async def orders_help() -> str:
    """How to find orders."""
    return "Ask for them."
'''
SETTINGS = '''\
"""What this server's environment says."""

from __future__ import annotations

from entra_mcp.settings import AppSettings


class OrderSettings(AppSettings):
    """The orders."""

    orders_prefix: str = "order"
'''
SERVICES = '''\
"""What is opened once for each process."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from app.settings import OrderSettings
    from entra_mcp.definition import Startup


class Orders:
    """The orders of everybody."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def first(self, count: int) -> list[str]:
        """The first few."""
        return [f"{self._prefix} {number}" for number in range(1, count + 1)]


@asynccontextmanager
async def open_services(startup: Startup[OrderSettings]) -> AsyncGenerator[list[object]]:
    """Yields the orders."""
    yield [Orders(startup.settings.orders_prefix)]
'''
TEST = '''\
"""The orders, called over HTTP as a client calls them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.instances import call
from tests.support.mcp import request, result, structured

if TYPE_CHECKING:
    import pytest

    from tests.support.instances import SignedIn


async def test_orders_are_those_of_the_setting(signed_in: SignedIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERS_PREFIX", "no.")
    async with signed_in() as http:
        found = structured(await call(http, "find_orders"))
    assert found == {"result": ["Alice: no. 1", "Alice: no. 2"]}


async def test_help_is_offered(signed_in: SignedIn) -> None:
    async with signed_in() as http:
        listed = result(await http.post("/mcp", **request("resources/list", token="token-of-alice")))
    assert [each["uri"] for each in listed["resources"]] == ["orders://help"]
'''
OWN = {
    "src/app/tools/find_orders.py": TOOL,
    "src/app/resources/orders_help.py": RESOURCE,
    "src/app/settings.py": SETTINGS,
    "src/app/services.py": SERVICES,
    "tests/app/test_orders.py": TEST,
}


def copy_of_the_template(folder: Path) -> Path:
    """What is committed here, and what is about to be."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (REPOSITORY / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / name, folder / name)
    return folder


def run(folder: Path, *command: str, fails: bool = False) -> str:
    """Runs a command in the folder; returns what it printed."""
    finished = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **IDENTITY, "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    told = finished.stdout + finished.stderr
    assert (finished.returncode != 0) is fails, told
    return told


def python(folder: Path, *arguments: str, fails: bool = False) -> str:
    return run(folder, sys.executable, *arguments, fails=fails)


def git(folder: Path, *arguments: str) -> str:
    return run(folder, "git", *arguments)


def commit(folder: Path, message: str, *, tag: str | None = None) -> None:
    """Commits everything, in a repository that is made if there is none."""
    if not (folder / ".git").exists():
        git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", message)
    if tag:
        git(folder, "tag", tag)


def add_own(fork: Path) -> None:
    """Gives the fork a tool, a resource, a setting and a service of its own."""
    for name, text in OWN.items():
        (fork / name).write_text(text)
    server = fork / "src" / "app" / "server.py"
    text = server.read_text()
    text = text.replace(
        "from entra_mcp",
        "from app.services import open_services\nfrom app.settings import OrderSettings\nfrom entra_mcp",
    )
    last = "    components=(tools, resources, prompts),\n"
    assert last in text
    server.write_text(text.replace(last, f"{last}    settings=OrderSettings,\n    services=open_services,\n"))
