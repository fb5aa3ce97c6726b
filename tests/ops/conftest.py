"""A stand-in for Azure for each test worker, emptied for each test, and a way to run commands against it."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from ops.cli import run
from ops.preflight.subscription import PROVIDERS
from tests.support.azure import CloudStandIn, FakeCredential
from tests.support.azure.azd import program
from tests.support.azure.deployment import deploy
from tests.support.azure.world import SITE, STORAGE, SUBSCRIPTION, TENANT, VAULT_ID, World
from tests.support.smoke_server import SmokeServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from azure.core.credentials import TokenCredential


@dataclass(frozen=True)
class Outcome:
    """What a command said, and how it ended."""

    code: int
    text: str


@dataclass
class Ops:
    """Runs commands in this process; waits take no time."""

    cloud: CloudStandIn
    root: Path
    waits: list[float] = field(default_factory=list[float])
    path: str = ""
    """Where programs are looked for."""
    ahead: timedelta = timedelta()
    """How far the clock of this machine is ahead of Azure's."""
    credential: Callable[[str], TokenCredential] = FakeCredential
    """Who is signed in to a tenant."""

    @property
    def world(self) -> World:
        return self.cloud.world

    def __call__(self, *arguments: str, **changes: str | None) -> Outcome:
        """Runs a command with azd's variables and these changes; None removes one."""
        variables = {"PATH": self.path, **self.cloud.environment(), **changes}
        out = io.StringIO()
        code = run(
            arguments,
            variables={name: value for name, value in variables.items() if value is not None},
            credential=self.credential,
            out=out,
            sleep=self.waits.append,
            now=lambda: self.world.now() + self.ahead,
            root=self.root,
        )
        return Outcome(code=code, text=out.getvalue())


@pytest.fixture(scope="session")
def azure(certificates: Path) -> Iterator[CloudStandIn]:
    with CloudStandIn(certificates) as cloud:
        yield cloud


@pytest.fixture
def ops(azure: CloudStandIn, tmp_path: Path) -> Ops:
    """An empty vault, and a registration as the infrastructure creates them."""
    azure.reset()
    azure.world.add_application()
    azure.world.resources[VAULT_ID.lower()] = {"id": VAULT_ID, "type": "Microsoft.KeyVault/vaults"}
    return Ops(cloud=azure, root=tmp_path)


@pytest.fixture
def world(ops: Ops) -> World:
    return ops.world


@pytest.fixture(scope="session")
def served() -> Iterator[SmokeServer]:
    """A server for the tests that look at one from outside."""
    with SmokeServer() as server:
        yield server


@pytest.fixture
def server(served: SmokeServer) -> SmokeServer:
    served.fault = ""
    served.coming_up.clear()
    return served


@pytest.fixture
def deployed(ops: Ops, server: SmokeServer) -> World:
    ops.world.applications.clear()
    deploy(ops.world, base_url=server.url)
    return ops.world


@pytest.fixture
def doctor(ops: Ops, deployed: World) -> Callable[..., Outcome]:
    def examine(*arguments: str, **changes: str | None) -> Outcome:
        names = {"AZURE_FUNCTION_APP_NAME": SITE, "AZURE_STORAGE_ACCOUNT_NAME": STORAGE, **changes}
        return ops("doctor", *arguments, **names)

    return examine


@pytest.fixture
def programs(tmp_path: Path) -> Callable[..., str]:
    """A PATH with programs that say a version."""

    def make(**versions: str) -> str:
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        for name, says in versions.items():
            program(folder, name, says)
        return str(folder)

    return make


@pytest.fixture
def ready(ops: Ops, programs: Callable[..., str]) -> Ops:
    """A machine, a subscription and a tenant that are in order."""
    world = ops.world
    world.resources[f"/subscriptions/{SUBSCRIPTION}"] = {"displayName": "Dev", "state": "Enabled", "tenantId": TENANT}
    world.providers.update(dict.fromkeys(PROVIDERS, "Registered"))
    world.regions[:] = ["Sweden Central", "East US", "UK South"]
    world.permissions[:] = [{"actions": ["*"], "notActions": []}]
    world.access_policies = []
    ops.path = programs(azd='echo "azd version 1.24.2 (commit 1)"', az='echo \'{"azure-cli": "2.75.0"}\'')
    return ops
