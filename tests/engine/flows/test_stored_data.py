"""What is in the table after everything has happened: nothing that anybody could use, and nobody's name."""

from __future__ import annotations

import os
from base64 import b64decode
from typing import TYPE_CHECKING, Any

import jwt
from azure.data.tables import TableServiceClient

from entra_mcp.ownership import OWNED
from entra_mcp.storage.owners import OwnerMarks, delete_owned
from entra_mcp.storage.table import Table
from entra_mcp.vault.keys import KEY_BYTES, KeyRing, RootKey
from tests.support.mcp import structured
from tests.support.oauth import OAuthClient
from tests.support.vault import vault_client

if TYPE_CHECKING:
    import httpx2

    from tests.support.standins import StandIns


def dump(azurite: str, name: str) -> str:
    """Every property of every row, binary ones as text too."""
    with TableServiceClient.from_connection_string(azurite) as service:
        client: Any = service.get_table_client(name)
        rows: list[dict[str, Any]] = [dict(entity) for entity in client.list_entities()]
    assert rows
    parts: list[str] = []
    for row in rows:
        for key, value in row.items():
            parts.append(f"{key}={value!r}")
            if isinstance(value, bytes):
                parts.append(value.decode("latin1"))
    return "\n".join(parts)


async def test_dump_of_the_table_holds_nothing_in_clear(client: OAuthClient, azurite: str, standins: StandIns) -> None:
    await client.register()
    upstream = await client.consent(await client.consent_page())
    parameters = await client.entra_choice(
        upstream.headers["location"], await client.entra_page(upstream.headers["location"])
    )
    code = client.answer(await client.entra_return(parameters))["code"]
    first = (await client.redeem(code)).json()
    caller = structured(await client.call(first["access_token"], "whoami"))
    second = (await client.refresh(first["refresh_token"])).json()
    tokens = [first["access_token"], first["refresh_token"], second["access_token"], second["refresh_token"]]
    secrets = {
        "the code": code,
        "Entra's code": parameters["code"],
        "the client's state": client.state,
        "the verifier": client.verifier,
        "the client id": client.client_id,
        "the client's name": "Test client",
        "the redirect URI": client.redirect_uri,
        "the client secret": standins.client_secret,
        "the object id": caller["object_id"],
        "the user name": caller["username"],
        "the name": caller["name"],
        **{f"token {number}": token for number, token in enumerate(tokens)},
        **{f"id of token {number}": claims(token)["jti"] for number, token in enumerate(tokens)},
        **{f"signature of token {number}": token.rpartition(".")[2] for number, token in enumerate(tokens)},
        "the name of a field": "access_token",
        "a collection": "mcp-",
    }
    table = dump(azurite, os.environ["MCP_TABLE_NAME"])
    assert [name for name, secret in secrets.items() if secret in table] == []
    assert "eyJ" not in table


def claims(token: str) -> dict[str, Any]:
    return jwt.decode(token, options={"verify_signature": False})


async def test_all_sign_ins_of_one_person_end_and_nobody_elses(
    http: httpx2.AsyncClient, azurite: str, standins: StandIns
) -> None:
    clients = [OAuthClient(http=http) for _ in range(3)]
    tokens = [
        await clients[0].sign_in("user"),
        await clients[1].sign_in("user"),
        await clients[2].sign_in("admin"),
    ]
    person = structured(await clients[0].call(tokens[0]["access_token"], "whoami"))["object_id"]
    async with Table.from_connection_string(azurite, name=os.environ["MCP_TABLE_NAME"]) as table:
        marks = OwnerMarks(await ring_of(standins))
        steps = [step async for step in delete_owned(table, marks=marks, owner=person.lower(), collections=OWNED)]
    assert steps[-1][1] == 4, "two token sets, and the two codes that led to them"
    for client, token in zip(clients[:2], tokens[:2], strict=True):
        # A refresh reads what is stored, and this instance forgets what is gone.
        refused = await client.refresh(token["refresh_token"])
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
        assert (await client.call(token["access_token"], "add", {"a": 1, "b": 1})).status_code == 401
    answer = await clients[2].call(tokens[2]["access_token"], "add", {"a": 1, "b": 1})
    assert structured(answer) == {"result": 2}


async def ring_of(standins: StandIns) -> KeyRing:
    async with vault_client(standins) as vault:
        material = b64decode((await vault.get_secret("jwt-signing-key")).value or "")
    assert len(material) == KEY_BYTES
    return KeyRing((RootKey(version="1", material=material),))
