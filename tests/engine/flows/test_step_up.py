"""Tools that need a scope of their own: the client learns which, asks for it, and gets both (SEP-2350)."""

from __future__ import annotations

import dataclasses
import re
from base64 import b64encode
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

import entra_mcp.app
from entra_mcp.errors import ComponentsError
from tests.engine.flows.conftest import over
from tests.support import scoped
from tests.support.app.server import SERVER
from tests.support.background.instance import OPTED_IN
from tests.support.background.server import SERVER as TASKS
from tests.support.mcp import SESSIONLESS, message, protocol_error, request, result, structured, tool_call
from tests.support.oauth import OAuthClient
from tests.support.scoped.tools import APPROVE, DELETE
from tests.support.standins import StandIns
from tests.support.tasks import in_own_task

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
    from pathlib import Path

    import httpx2

    from entra_mcp.tasks.runner import Runner

running_app = partial(entra_mcp.app.running_app, dataclasses.replace(SERVER, components=(*SERVER.components, scoped)))

OPTIONAL = f"{APPROVE} {DELETE}"
METADATA = "http://localhost:7071/.well-known/oauth-protected-resource/mcp"


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory, certificates: Path) -> Iterator[StandIns]:
    """Entra ID with a registration that has the scopes."""
    folder = tmp_path_factory.mktemp("scopes")
    with StandIns(folder=folder, tls=certificates, registration=[f"--optional-scopes={OPTIONAL}"]) as standins:
        yield standins


@pytest.fixture
def scopes_on_offer(environment: Callable[..., None], directory: StandIns) -> Callable[..., None]:
    return partial(environment, **directory.environment(), ENTRA_OPTIONAL_SCOPES=OPTIONAL)


@pytest_asyncio.fixture(loop_scope="module")
async def instances(scopes_on_offer: Callable[..., None]) -> AsyncIterator[tuple[OAuthClient, OAuthClient]]:
    """The same client before two instances that share nothing but the table and the vault."""
    scopes_on_offer()
    async with in_own_task(two_instances()) as clients:
        yield clients


@asynccontextmanager
async def two_instances() -> AsyncGenerator[tuple[OAuthClient, OAuthClient]]:
    async with running_app() as one, running_app() as other, over(one) as here, over(other) as there:
        yield OAuthClient(http=here), OAuthClient(http=there)


@asynccontextmanager
async def one_instance() -> AsyncGenerator[OAuthClient]:
    async with running_app() as app, over(app) as http:
        yield OAuthClient(http=http)


def challenge(response: httpx2.Response) -> dict[str, str]:
    """What the `WWW-Authenticate` header of a 403 says."""
    assert response.status_code == 403, response.text
    scheme, _, parameters = response.headers["www-authenticate"].partition(" ")
    assert scheme == "Bearer"
    return {name: value.strip('"') for name, value in (each.split("=", 1) for each in parameters.split(", "))}


async def sign_in(client: OAuthClient, scope: str, account: str = "user") -> dict[str, Any]:
    """Signs a registered client in, with the scopes it asks for."""
    page = await client.consent_page(scope=scope)
    told = re.sub("<[^>]+>", "", page.text)
    assert [each for each in (APPROVE, DELETE) if f"call tools that need {each}" in told] == [
        each for each in (APPROVE, DELETE) if each in scope.split()
    ]
    return (await client.redeem(await client.code(page, account=account))).json()


async def names(client: OAuthClient, token: str) -> set[str]:
    listed = result(await client.http.post("/mcp", **request("tools/list", token=token)))
    return {tool["name"] for tool in listed["tools"]}


@pytest.mark.parametrize("protocol", ["2025-11-25", SESSIONLESS])
async def test_call_without_the_scope_is_told_what_to_ask_for(
    instances: tuple[OAuthClient, OAuthClient], protocol: str
) -> None:
    client, _ = instances
    token = (await client.sign_in())["access_token"]
    call = tool_call("approve_order", {"number": 1}, token=token, protocol=protocol)
    response = await client.http.post("/mcp", **call)
    assert challenge(response) == {
        "error": "insufficient_scope",
        "scope": f"access_as_user {APPROVE}",
        "resource_metadata": METADATA,
        "error_description": f"The tool needs the scope {APPROVE}.",
    }
    assert response.json()["error"] == "insufficient_scope"


async def test_client_that_asks_for_more_gets_both_and_goes_on_at_another_instance(
    instances: tuple[OAuthClient, OAuthClient],
) -> None:
    here, there = instances
    first = await here.sign_in()
    there.client_id, there.verifier = here.client_id, here.verifier
    asked = challenge(await here.call(first["access_token"], "approve_order", {"number": 1}))["scope"]
    tokens = await sign_in(there, asked)
    assert tokens["scope"] == f"access_as_user {APPROVE}"
    for client in instances:
        assert structured(await client.call(tokens["access_token"], "approve_order", {"number": 1})) == {
            "result": "approved 1"
        }
        assert structured(await client.call(tokens["access_token"], "add", {"a": 1, "b": 1})) == {"result": 2}
    second = challenge(await here.call(tokens["access_token"], "delete_order", {"number": 1}))["scope"]
    assert set(second.split()) == {"access_as_user", APPROVE, DELETE}
    tokens = await sign_in(here, second)
    assert structured(await there.call(tokens["access_token"], "delete_order", {"number": 1})) == {
        "result": "deleted 1"
    }


async def test_what_a_person_allowed_one_client_no_other_gets(instances: tuple[OAuthClient, OAuthClient]) -> None:
    """All clients are one application to Entra ID, whose tokens have all that the person ever allowed it."""
    here, there = instances
    await here.register()
    allowed = await sign_in(here, f"access_as_user {OPTIONAL}")
    other = await there.sign_in()
    assert other["scope"] == "access_as_user"
    refreshed = (await there.refresh(other["refresh_token"])).json()
    for tokens in (other, refreshed):
        assert structured(await there.call(tokens["access_token"], "whoami"))["scopes"] == ["access_as_user"]
        assert challenge(await there.call(tokens["access_token"], "approve_order", {"number": 1}))
    widened = await there.refresh(refreshed["refresh_token"], scope=f"access_as_user {APPROVE}")
    assert widened.json()["scope"] == "access_as_user"
    assert structured(await here.call(allowed["access_token"], "approve_order", {"number": 1}))


async def test_what_a_person_allowed_one_client_no_task_of_another_gets(scopes_on_offer: Callable[..., None]) -> None:
    """A task runs with a token of Entra ID that has all of it."""
    scopes_on_offer()
    runners: list[Runner] = []
    async with entra_mcp.app.running_app(TASKS, on_tasks=runners.append) as app, over(app) as http:
        client = OAuthClient(http=http)
        await client.register()
        await sign_in(client, f"access_as_user {OPTIONAL}")
        other = OAuthClient(http=http)
        token = (await other.sign_in())["access_token"]
        called = tool_call("own_scopes", {}, protocol=SESSIONLESS, token=token, meta=OPTED_IN)
        task_id = result(await http.post("/mcp", **called))["taskId"]
        (runner,) = runners
        stored = await runner.parts.rows.read(task_id)
        assert stored is not None
        await runner.run(b64encode(runner.parts.rows.message(stored.task)))
        asked = request("tasks/get", {"taskId": task_id}, protocol=SESSIONLESS, token=token, meta=OPTED_IN)
        done = result(await http.post("/mcp", **asked))
    assert done["result"]["structuredContent"] == {"result": ["access_as_user"]}


async def test_refresh_keeps_the_scopes_unless_it_asks_for_fewer(instances: tuple[OAuthClient, OAuthClient]) -> None:
    here, there = instances
    await here.register()
    tokens = await sign_in(here, f"access_as_user {OPTIONAL}")
    there.client_id = here.client_id
    kept = (await there.refresh(tokens["refresh_token"])).json()
    assert kept["scope"] == f"access_as_user {OPTIONAL}"
    fewer = (await here.refresh(kept["refresh_token"], scope=APPROVE)).json()
    assert fewer["scope"] == f"access_as_user {APPROVE}", "what every call needs is never left out"
    for client in instances:
        assert structured(await client.call(kept["access_token"], "delete_order", {"number": 1}))
        assert challenge(await client.call(fewer["access_token"], "delete_order", {"number": 1}))
        assert structured(await client.call(fewer["access_token"], "approve_order", {"number": 1}))
    again = (await there.refresh(kept["refresh_token"])).json()
    assert again["refresh_token"] == fewer["refresh_token"]
    assert again["scope"] == fewer["scope"], "what the first use got, as it is"
    for scope, expected in ((APPROVE, f"access_as_user {APPROVE}"), (None, f"access_as_user {OPTIONAL}")):
        asked = {} if scope is None else {"scope": scope}
        again = (await there.refresh(again["refresh_token"], **asked)).json()
        assert again["scope"] == expected, "the refresh token keeps what was granted"
    assert structured(await here.call(again["access_token"], "delete_order", {"number": 1}))


async def test_tool_is_listed_for_who_lacks_the_scope_and_not_for_who_lacks_the_role(
    instances: tuple[OAuthClient, OAuthClient],
) -> None:
    client, _ = instances
    user = (await client.sign_in())["access_token"]
    admin = (await client.sign_in("admin"))["access_token"]
    assert await names(client, user) & {"approve_order", "delete_order", "delete_all_orders", "closed"} == {
        "approve_order",
        "delete_order",
    }
    assert await names(client, admin) & {"approve_order", "delete_order", "delete_all_orders"} == {
        "approve_order",
        "delete_all_orders",
    }
    assert challenge(await client.call(user, "approve_order", {"number": 1})), "a list grants nothing"


async def test_scope_is_not_named_to_who_could_not_use_it(instances: tuple[OAuthClient, OAuthClient]) -> None:
    client, _ = instances
    user = (await client.sign_in())["access_token"]
    admin = (await client.sign_in("admin"))["access_token"]
    for token, tool in ((user, "delete_all_orders"), (admin, "delete_order"), (user, "closed"), (user, "no_such")):
        answer = protocol_error(await client.call(token, tool))
        assert (answer["code"], answer["message"]) == (-32602, f"Unknown tool: {tool!r}")
    assert challenge(await client.call(admin, "delete_all_orders"))["scope"] == f"access_as_user {DELETE}"


@pytest.mark.parametrize("name", [["approve_order"], {"approve_order": 1}, None, 1, "approve_order "])
async def test_name_of_another_form_is_no_way_around(instances: tuple[OAuthClient, OAuthClient], name: object) -> None:
    client, _ = instances
    sent = tool_call("approve_order", {"number": 1}, token=(await client.sign_in())["access_token"])
    sent["json"]["params"]["name"] = name
    assert "error" in message(await client.http.post("/mcp", **sent))


async def test_name_that_comes_twice_is_no_way_around(instances: tuple[OAuthClient, OAuthClient]) -> None:
    client, _ = instances
    sent = tool_call("add", token=(await client.sign_in())["access_token"])
    for first, last in (("add", "approve_order"), ("approve_order", "add")):
        params = f'"name": "{first}", "name": "{last}", "arguments": {{"number": 1, "a": 1, "b": 1}}'
        body = f'{{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {{{params}}}}}'
        headers = {**sent["headers"], "content-type": "application/json"}
        response = await client.http.post("/mcp", headers=headers, content=body)
        assert "approved" not in response.text


async def test_scopes_on_offer_are_in_the_metadata_and_no_client_has_to_ask_for_them(
    instances: tuple[OAuthClient, OAuthClient],
) -> None:
    client, _ = instances
    for path in ("oauth-protected-resource/mcp", "oauth-authorization-server"):
        document = (await client.http.get(f"/.well-known/{path}")).json()
        assert document["scopes_supported"] == ["access_as_user", APPROVE, DELETE]
    unknown = await client.http.post("/mcp", json={})
    assert unknown.status_code == 401
    assert 'scope="access_as_user"' in unknown.headers["www-authenticate"]
    assert (await client.register()).json()["scope"] == f"access_as_user {OPTIONAL}"
    assert (await client.sign_in())["scope"] == "access_as_user"


async def test_applications_are_told_the_scope_too(scopes_on_offer: Callable[..., None], directory: StandIns) -> None:
    scopes_on_offer(ENTRA_ALLOWED_APP_ROLES="Tasks.Run")
    principal = "77777777-0001-4000-8000-000000000001"
    token = directory.token("user", scp=None, oid=principal, sub=principal, idtyp="app", roles=["Tasks.Run"])
    async with one_instance() as client:
        assert structured(await client.call(token, "add", {"a": 1, "b": 1})) == {"result": 2}
        assert challenge(await client.call(token, "approve_order", {"number": 1}))["error"] == "insufficient_scope"


async def test_verify_mode_names_scopes_as_entra_knows_them(
    scopes_on_offer: Callable[..., None], directory: StandIns
) -> None:
    scopes_on_offer(AUTH_MODE="verify")
    prefix = f"api://{directory.client_id}"
    async with one_instance() as client:
        document = (await client.http.get("/.well-known/oauth-protected-resource/mcp")).json()
        assert document["scopes_supported"] == [f"{prefix}/{name}" for name in ("access_as_user", APPROVE, DELETE)]
        response = await client.call(directory.token(scp="access_as_user"), "approve_order", {"number": 1})
        assert challenge(response)["scope"] == f"{prefix}/access_as_user {prefix}/{APPROVE}"
        lacking = challenge(await client.call(directory.token(scp=APPROVE), "add", {"a": 1, "b": 1}))
        assert (lacking["error"], lacking["scope"]) == ("insufficient_scope", f"{prefix}/access_as_user")
        both = directory.token(scp=f"access_as_user {APPROVE}")
        assert structured(await client.call(both, "approve_order", {"number": 1}))


async def test_tool_that_names_a_scope_which_is_not_on_offer_is_named_at_the_start(
    scopes_on_offer: Callable[..., None],
) -> None:
    scopes_on_offer(ENTRA_OPTIONAL_SCOPES=APPROVE)
    with pytest.raises(ComponentsError) as error:
        async with running_app():
            pass
    assert set(error.value.faults) == {
        f"the tool {name} needs the scope {DELETE}: add it to ENTRA_OPTIONAL_SCOPES"
        for name in ("closed", "delete_all_orders", "delete_order")
    }
