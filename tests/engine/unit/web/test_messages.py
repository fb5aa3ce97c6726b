"""Which bodies the MCP library gets to work on."""

from __future__ import annotations

import asyncio
import json
import tracemalloc
from typing import Any, cast

import pytest

from entra_mcp.web.body_limit import MAX_DEPTH, MAX_REPEATED, MessageCheck

CALL: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "add"}}
OUTER_VALUES = 6
"""The message itself, its four members, and the name of the tool."""


def body(**arguments: object) -> bytes:
    return json.dumps({**CALL, "params": {"name": "add", "arguments": arguments}}).encode()


def nested(depth: int) -> bytes:
    """A message that is so deep, itself included."""
    return b'{"jsonrpc":"2.0","method":"x","params":{"x":' + b"[" * (depth - 2) + b"]" * (depth - 2) + b"}}"


def status(sent: bytes, *, max_values: int = 100) -> int:
    refused = asyncio.run(MessageCheck(max_values=max_values)(sent))
    return 200 if refused is None else refused.status_code


def error(sent: bytes) -> dict[str, Any]:
    refused = asyncio.run(MessageCheck(max_values=100)(sent))
    assert refused is not None
    assert refused.status_code == 400
    answer = json.loads(bytes(refused.body))
    assert (answer["jsonrpc"], answer["id"]) == ("2.0", None)
    return answer["error"]


@pytest.mark.parametrize("kind", [{str(number): 1 for number in range(93)}, [0] * 93, [[] for _ in range(93)]])
def test_as_many_values_as_are_allowed_pass_and_one_more_does_not(kind: object) -> None:
    assert status(body(x=kind), max_values=OUTER_VALUES + 95) == 200
    assert status(body(x=kind), max_values=OUTER_VALUES + 94) == 413


def test_commas_and_brackets_of_a_text_are_no_values() -> None:
    assert status(body(text='[{,\\"' * 100_000)) == 200


def test_depth_is_bounded() -> None:
    assert status(nested(MAX_DEPTH)) == 200
    assert status(nested(MAX_DEPTH + 1)) == 413
    assert error(nested(100_000))["code"] == -32700, "the parser ends it earlier"


@pytest.mark.parametrize("piece", [b"[],", b"{},", b'{"a":[]},', b"0,", b'"",'])
def test_small_bodies_of_many_values_cost_little_memory(piece: bytes) -> None:
    sent = b'{"jsonrpc":"2.0","method":"x","params":{"x":[' + piece * (512 * 1024 // len(piece)) + b"0]}}"
    tracemalloc.start()
    try:
        assert status(sent, max_values=10_000) == 413
        assert tracemalloc.get_traced_memory()[1] < 64 * 1024 * 1024
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "sent",
    [b"", b"{", b"\xff", b'{"a":"\\ud800"}', b"9" * 5_000, json.dumps(CALL).encode("utf-16"), b"[" * 500_000],
    ids=["nothing", "broken", "no UTF-8", "half a character", "5,000 digits", "UTF-16", "only opened"],
)
def test_what_is_no_json_is_a_parse_error(sent: bytes) -> None:
    assert error(sent)["code"] == -32700


NO_MESSAGES: list[object] = [
    None,
    1,
    "ping",
    [CALL],
    {},
    {**CALL, "jsonrpc": "1.0"},
    {**CALL, "method": 1},
    {**CALL, "params": [1]},
    *({**CALL, "id": cast("object", wrong)} for wrong in (None, True, 1.5, [1], {"a": 1})),
    {**CALL, "id": "a" * (MAX_REPEATED + 1)},
    {**CALL, "method": "a" * (MAX_REPEATED + 1)},
    *({**CALL, "params": {name: "a" * (MAX_REPEATED + 1)}} for name in ("name", "uri", "cursor")),
]


@pytest.mark.parametrize("message", NO_MESSAGES, ids=lambda message: json.dumps(message)[:80])
def test_what_is_no_message_is_an_invalid_request_and_not_repeated(message: object) -> None:
    refused = error(json.dumps(message).encode())
    assert refused["code"] == -32600
    assert "aaaa" not in refused["message"]


@pytest.mark.parametrize(
    "message",
    [
        {**CALL, "id": "one"},
        {"jsonrpc": "2.0", "id": 1, "method": "ping"},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 1, "result": {}},
        {"jsonrpc": "2.0", "id": 1, "error": {"code": -32601, "message": "no"}},
    ],
    ids=["request", "without parameters", "notification", "response", "error"],
)
def test_message_of_each_kind_passes(message: dict[str, Any]) -> None:
    assert status(json.dumps(message).encode()) == 200
