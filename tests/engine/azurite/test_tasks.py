"""Tasks from the call to their end, on a table and a queue of Azurite."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from fastmcp.server.auth.providers.jwt import StaticTokenVerifier

from entra_mcp.ownership import full_name
from entra_mcp.server.request_state import RingCodec
from entra_mcp.storage.encryption import RowCipher
from entra_mcp.storage.rows import Address, unpack
from entra_mcp.tasks.callers import TOKEN, Callers
from entra_mcp.tasks.limits import Limits
from entra_mcp.tasks.rows import OPEN_TASKS
from tests.support.background.components import work
from tests.support.background.instance import CAPABILITIES, OPTED_IN, Background
from tests.support.background.steps import running, until
from tests.support.instances import ALICE, BOB, RING
from tests.support.mcp import SESSIONLESS, refusal, request, result, structured, tool_call


async def test_call_of_a_client_that_opted_in_goes_on_as_a_task(tasks: Background) -> None:
    created = await tasks.start("work", name="report")
    assert created["resultType"] == "task"
    assert created["status"] == "working"
    assert created["ttlMs"] == 24 * 3600 * 1000
    assert work.starts == {}
    assert await tasks.deliver() == 1
    done = await tasks.get(created["taskId"])
    assert done["status"] == "completed"
    assert done["result"]["structuredContent"] == {"result": "report is done"}
    assert work.starts == {"report": 1}


async def test_call_of_a_client_that_did_not_opt_in_is_answered_at_once(tasks: Background) -> None:
    response = await tasks.http.post("/mcp", **tool_call("work", {"name": "now"}, protocol=SESSIONLESS, token=ALICE))
    assert structured(response) == {"result": "now is done"}
    assert await tasks.messages() == []


@pytest.mark.parametrize("protocol", ["2025-11-25", SESSIONLESS])
async def test_tool_that_must_be_a_task_is_refused_to_a_client_that_did_not_opt_in(
    tasks: Background, protocol: str
) -> None:
    response = await tasks.http.post("/mcp", **tool_call("only_as_task", protocol=protocol, token=ALICE))
    if protocol == SESSIONLESS:
        assert response.json()["error"]["code"] == -32021
    else:
        assert "background task" in refusal(response)


async def test_tool_runs_as_the_caller(tasks: Background) -> None:
    created = await tasks.start("only_as_task", token=BOB)
    await tasks.deliver()
    done = result(await tasks.ask("tasks/get", created["taskId"], token=BOB))
    assert done["result"]["structuredContent"] == {"result": "object-of-bob"}


async def test_error_of_a_tool_is_the_result_of_its_task(tasks: Background) -> None:
    created = await tasks.start("fail")
    await tasks.deliver()
    done = await tasks.get(created["taskId"])
    assert done["status"] == "completed"
    assert done["result"]["isError"] is True
    assert done["result"]["content"][0]["text"] == "The room is taken."


async def test_progress_is_the_status_message_while_the_task_runs(tasks: Background) -> None:
    task_id, run = await running(tasks, "slow", steps=3)

    async def told() -> bool:
        return (await tasks.get(task_id)).get("statusMessage") == "step 3"

    await until(told)
    assert (await tasks.get(task_id))["status"] == "working"
    work.gates["slow"].set()
    await run
    assert (await tasks.get(task_id))["status"] == "completed"


async def test_nothing_readable_is_in_the_queue_or_the_table(tasks: Background) -> None:
    created = await tasks.start("work", name="a-secret-plan")
    (message,) = await tasks.messages()
    rows = [row async for page in tasks.table.query("PartitionKey gt ''", select=()) for row in page]
    told = message.decode() + "".join(f"{name}={value!r}" for row in rows for name, value in row.items())
    for secret in ("a-secret-plan", ALICE, created["taskId"], "object-of-alice", "name"):
        assert secret not in told.replace("RowKey", "")
    await tasks.runner.run(message)
    assert (await tasks.get(created["taskId"]))["status"] == "completed"


async def test_table_and_key_lead_to_the_token_of_who_has_an_unfinished_task(tasks: Background) -> None:
    """What docs/security.md admits, and no more: once the task has ended they lead to nothing."""
    await tasks.start("work", name="report")
    owner = full_name("tenant", "object-of-alice")
    address = Address.of(OPEN_TASKS, owner)
    row = unpack(await tasks.table.read(address.partition, address.row) or {})
    (task_id,) = json.loads(RowCipher(RING).open(row.sealed, collection=OPEN_TASKS, key=owner, expires=row.expires))
    assert (await tasks.task(task_id)).caller[TOKEN] == ALICE
    await tasks.deliver()
    assert (await tasks.task(task_id)).caller == {}


@pytest.mark.parametrize("method", ["tasks/get", "tasks/cancel", "tasks/update"])
async def test_task_does_not_exist_for_anybody_else(tasks: Background, method: str) -> None:
    created = await tasks.start("work", name="mine")
    params: dict[str, Any] = {"inputResponses": {}} if method == "tasks/update" else {}
    refused = (await tasks.ask(method, created["taskId"], token=BOB, **params)).json()["error"]
    unknown = (await tasks.ask(method, "no-such-task", token=BOB, **params)).json()["error"]
    assert refused == unknown
    await tasks.deliver()
    assert (await tasks.get(created["taskId"]))["status"] == "completed"


async def test_methods_need_the_extension_and_a_header_that_agrees(tasks: Background) -> None:
    created = await tasks.start("work", name="mine")
    meta: dict[str, Any] = {CAPABILITIES: {}}
    assert (await tasks.ask("tasks/get", created["taskId"], meta=meta)).json()["error"]["code"] == -32021
    sent = request("tasks/get", {"taskId": created["taskId"]}, protocol=SESSIONLESS, token=ALICE, meta=OPTED_IN)
    sent["headers"]["Mcp-Name"] = "another"
    assert (await tasks.http.post("/mcp", **sent)).json()["error"]["code"] == -32020


async def test_message_that_comes_twice_runs_the_task_once(tasks: Background) -> None:
    created = await tasks.start("work", name="once")
    (message,) = await tasks.messages()
    await asyncio.gather(*(tasks.runner.run(message) for _ in range(8)))
    await tasks.runner.run(message)
    assert work.starts == {"once": 1}
    assert (await tasks.get(created["taskId"]))["status"] == "completed"


async def test_message_of_somebody_else_is_dropped(tasks: Background, caplog: pytest.LogCaptureFixture) -> None:
    await tasks.runner.run(b"not base64!")
    await tasks.runner.run(b"bm90IG91cnM=")
    assert [record.levelname for record in caplog.records if record.name.endswith("runner")] == ["ERROR", "ERROR"]


async def test_cancelled_task_ends_wherever_it_runs(tasks: Background) -> None:
    task_id, run = await running(tasks, "endless")
    assert result(await tasks.ask("tasks/cancel", task_id))["resultType"] == "complete"
    assert await run == 1
    assert (await tasks.get(task_id))["status"] == "cancelled"
    assert not work.gates["endless"].is_set()


async def test_cancelled_task_that_waits_is_not_run(tasks: Background) -> None:
    created = await tasks.start("work", name="unwanted")
    await tasks.ask("tasks/cancel", created["taskId"])
    await tasks.deliver()
    assert work.starts == {}


async def test_finished_task_stays_as_it_is_when_it_is_cancelled(tasks: Background) -> None:
    created = await tasks.start("work", name="done")
    await tasks.deliver()
    await tasks.ask("tasks/cancel", created["taskId"])
    assert (await tasks.get(created["taskId"]))["status"] == "completed"


async def test_large_result_comes_whole(tasks: Background) -> None:
    created = await tasks.start("large", size=1_000_000)
    await tasks.deliver()
    done = await tasks.get(created["taskId"])
    assert len(done["result"]["structuredContent"]["result"]) == 1_000_000
    assert (await tasks.task(created["taskId"])).parts > 1


async def test_result_that_is_larger_in_json_comes_whole(tasks: Background) -> None:
    created = await tasks.start("letters", count=70_000)
    await tasks.deliver()
    assert (await tasks.get(created["taskId"]))["result"]["structuredContent"] == {"result": "я" * 70_000}


async def test_token_of_the_caller_is_what_it_was_in_the_call(tasks: Background) -> None:
    """An application's token has no `scp`, which distinguishes it from a person's."""
    callers = Callers(StaticTokenVerifier({"app": {"client_id": "app", "scopes": ["access_as_user"], "oid": "app"}}))
    found = await callers.find({TOKEN: "app"}, seconds=1)
    assert found is not None
    assert "scp" not in found.claims


@pytest.mark.parametrize("limits", [Limits(result=1000, arguments=100)])
async def test_result_that_is_too_large_fails_the_task(tasks: Background) -> None:
    created = await tasks.start("large", size=1000)
    await tasks.deliver()
    done = await tasks.get(created["taskId"])
    assert done["status"] == "failed"
    assert "larger than 1000 bytes" in done["error"]["message"]
    refused = await tasks.start("work", name="x" * 100)
    assert "100 bytes" in refused["content"][0]["text"]


async def test_task_is_gone_when_its_time_is_over(tasks: Background) -> None:
    created = await tasks.start("work", name="old")
    await tasks.deliver()
    tasks.clock.advance(Limits().keep)
    assert "error" in (await tasks.ask("tasks/get", created["taskId"])).json()


@pytest.mark.parametrize("limits", [Limits(per_caller=2)])
async def test_person_may_have_so_many_unfinished_tasks(tasks: Background) -> None:
    first = await tasks.start("work", name="1")
    await tasks.start("work", name="2")
    refused = await tasks.start("work", name="3")
    assert refused["isError"] is True
    assert "2 unfinished tasks" in refused["content"][0]["text"]
    assert (await tasks.start("work", token=BOB, name="4"))["resultType"] == "task"
    await tasks.ask("tasks/cancel", first["taskId"])
    assert (await tasks.start("work", name="5"))["resultType"] == "task"


@pytest.mark.parametrize("limits", [Limits(per_caller=1)])
async def test_call_whose_message_cannot_be_sent_starts_nothing(tasks: Background) -> None:
    await tasks.queue.delete_queue()
    refused = await tasks.start("work", name="lost")
    assert refused["isError"] is True
    assert "Try again" in refused["content"][0]["text"]
    # It does not count among the caller's unfinished tasks either.
    assert "Try again" in (await tasks.start("work", name="lost"))["content"][0]["text"]


async def test_finished_task_leaves_no_message(tasks: Background) -> None:
    await tasks.start("work", name="short")
    await tasks.deliver()
    tasks.clock.advance(Limits().lease)
    assert await tasks.deliver() == 1
    tasks.clock.advance(Limits().keep)
    assert await tasks.messages() == []
    assert work.starts == {"short": 1}


async def test_task_that_asks_waits_without_an_instance_and_goes_on_with_the_answer(tasks: Background) -> None:
    created = await tasks.start("ask_first", name="trip")
    task_id = created["taskId"]
    await tasks.deliver()
    asking = await tasks.get(task_id)
    assert asking["status"] == "input_required"
    ((key, question),) = asking["inputRequests"].items()
    assert question["method"] == "elicitation/create"
    assert question["params"]["message"] == "May I?"
    tasks.clock.advance(3600)
    await tasks.messages()
    answer = {"action": "accept", "content": {"approved": True}}
    result(await tasks.ask("tasks/update", task_id, inputResponses={"unknown-1": answer}))
    assert await tasks.messages() == []
    refused = (await tasks.ask("tasks/update", task_id, inputResponses={key: {"action": "perhaps"}})).json()
    assert refused["error"]["code"] == -32602
    result(await tasks.ask("tasks/update", task_id, inputResponses={key: answer}))
    # Its answer may have been lost: the client sends it again.
    result(await tasks.ask("tasks/update", task_id, inputResponses={key: answer}))
    assert await tasks.deliver() == 2
    done = await tasks.get(task_id)
    assert done["result"]["content"][0]["text"] == "trip: True", done
    assert work.starts == {"trip": 2}


async def test_state_of_a_question_is_good_for_minutes_and_only_in_a_task_for_as_long_as_the_task(
    tasks: Background,
) -> None:
    capable: dict[str, Any] = {CAPABILITIES: {"elicitation": {"form": {}}}}
    called = tool_call("ask_first", {"name": "trip"}, protocol=SESSIONLESS, token=ALICE, meta=capable)
    waiting = result(await tasks.http.post("/mcp", **called))
    created = await tasks.start("ask_first", name="trip")
    await tasks.deliver()
    stored = (await tasks.task(created["taskId"])).state
    states = [json.loads(RingCodec(RING).unseal(state)) for state in (waiting["requestState"], str(stored))]
    assert [state["exp"] - state["iat"] for state in states] == [600, 24 * 3600]


async def test_cancelled_task_takes_no_answer(tasks: Background) -> None:
    created = await tasks.start("ask_first", name="trip")
    await tasks.deliver()
    ((key, _),) = (await tasks.get(created["taskId"]))["inputRequests"].items()
    await tasks.ask("tasks/cancel", created["taskId"])
    await tasks.ask("tasks/update", created["taskId"], inputResponses={key: {"action": "decline"}})
    assert await tasks.deliver() == 0
    assert (await tasks.get(created["taskId"]))["status"] == "cancelled"
