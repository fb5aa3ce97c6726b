"""The stand-in for Azure in front of those of the local run: what `ops` changes here, a running server meets there."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, override

from ops.client_secret import KEY_ID, own_name
from ops.vault import CLIENT_SECRET, SIGNING_KEY
from tests.support.azure.cloud import CloudStandIn
from tests.support.azure.directory import GraphStandIn
from tests.support.azure.resources import ArmStandIn
from tests.support.azure.world import VAULT, VAULT_ID, World
from tests.support.vault import vault_client

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    from tests.support.standins import StandIns

LAG_SECONDS = 1.5
"""So long Entra ID's token endpoint does not know a client secret that Microsoft Graph has made."""


class JoinedCloud(CloudStandIn):
    """Begins with the registration and the vault as the running server knows them."""

    def __init__(self, certificates: Path, *, standins: StandIns) -> None:
        super().__init__(certificates)
        self._standins = standins
        self._known_as: dict[str, str] = {}
        self.world.add_application()
        self.world.resources[VAULT_ID.lower()] = {"id": VAULT_ID, "type": "Microsoft.KeyVault/vaults"}
        key_id = self.world.add_password(name=own_name(VAULT), days=150, started_days_ago=30)
        self.world.put_secret(CLIENT_SECRET, standins.client_secret, tags={KEY_ID: key_id}, days_ago=30)
        self.world.put_secret(SIGNING_KEY, "the key that the vault made", days_ago=30)
        (first,) = standins.control("GET", "/secrets")
        self._known_as[key_id] = first["id"]

    @override
    def environment(self) -> dict[str, str]:
        return {**super().environment(), "ENTRA_AUTHORITY": self._standins.authority, "KEY_VAULT_URL": self.url}

    @override
    def routes(self) -> list[Route]:
        graph = _Graph(self.world, standins=self._standins, known_as=self._known_as)
        return [*graph.routes(), *_Arm(self.world, standins=self._standins).routes()]


class _Graph(GraphStandIn):
    def __init__(self, world: World, *, standins: StandIns, known_as: dict[str, str]) -> None:
        super().__init__(world)
        self._standins = standins
        self._known_as = known_as
        """Key ids, and what the token endpoint's stand-in calls the same secrets."""
        self._replications = set[asyncio.Task[None]]()

    @override
    async def add_password(self, request: Request) -> Response:
        response = await super().add_password(request)
        made: dict[str, str] = json.loads(bytes(response.body))
        replication = asyncio.create_task(self._replicate(made["keyId"], made["secretText"]))
        self._replications.add(replication)
        replication.add_done_callback(self._replications.discard)
        return response

    @override
    async def remove_password(self, request: Request) -> Response:
        key_id = (await request.json())["keyId"]
        response = await super().remove_password(request)
        await asyncio.to_thread(self._standins.control, "DELETE", f"/secrets/{self._known_as[key_id]}")
        return response

    async def _replicate(self, key_id: str, value: str) -> None:
        await asyncio.sleep(LAG_SECONDS)
        added = await asyncio.to_thread(self._standins.control, "POST", "/secrets", {"value": value})
        self._known_as[key_id] = added["id"]


class _Arm(ArmStandIn):
    def __init__(self, world: World, *, standins: StandIns) -> None:
        super().__init__(world)
        self._standins = standins

    @override
    async def put_secret(self, name: str, body: dict[str, Any]) -> None:
        await super().put_secret(name, body)
        async with vault_client(self._standins) as vault:
            await vault.set_secret(name, body["properties"]["value"])
