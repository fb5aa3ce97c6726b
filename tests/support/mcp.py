"""Requests to the streamable HTTP transport, and what comes back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx2


SESSIONLESS = "2026-07-28"
"""The protocol without a handshake: each request says for itself who asks, and what the client can do."""


def request(
    method: str,
    params: dict[str, Any] | None = None,
    *,
    protocol: str = "2025-11-25",
    token: str | None = None,
    meta: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """What a client sends for one request, as keyword arguments of its `post`."""
    headers = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": protocol}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    sent = dict(params or {})
    if protocol >= SESSIONLESS:
        headers["MCP-Method"] = method
        if (name := sent.get("name") or sent.get("uri")) is not None:
            headers["MCP-Name"] = name
        meta = {
            "io.modelcontextprotocol/protocolVersion": protocol,
            "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {"elicitation": {"form": {}}},
            **(meta or {}),
        }
    if meta:
        sent["_meta"] = meta
    return {"headers": headers, "json": {"jsonrpc": "2.0", "id": 1, "method": method, "params": sent}}


def tool_call(
    tool: str,
    arguments: dict[str, Any] | None = None,
    *,
    protocol: str = "2025-11-25",
    token: str | None = None,
    meta: dict[str, Any] | None = None,
    **params: Any,  # noqa: ANN401 - whatever the protocol adds to a call
) -> dict[str, Any]:
    """What a client sends for one tool call, as keyword arguments of its `post`."""
    sent = {"name": tool, "arguments": arguments or {}, **params}
    return request("tools/call", sent, protocol=protocol, token=token, meta=meta)


def result(response: httpx2.Response) -> dict[str, Any]:
    """The result of a request, from JSON or from an event stream."""
    assert response.status_code == 200, response.text
    answer = message(response)
    assert "result" in answer, answer
    return answer["result"]


def protocol_error(response: httpx2.Response) -> dict[str, Any]:
    """The error of the protocol that a request was answered with."""
    answer = message(response)
    assert "error" in answer, answer
    return answer["error"]


def message(response: httpx2.Response) -> dict[str, Any]:
    """What answers a request, from JSON or from an event stream."""
    if response.headers["content-type"].startswith("application/json"):
        return response.json()
    messages = [json.loads(line[5:]) for line in response.text.splitlines() if line.startswith("data:")]
    answers = [each for each in messages if "result" in each or "error" in each]
    assert answers, f"the stream ended without an answer: {response.text}"
    return answers[0]


def structured(response: httpx2.Response) -> Any:  # noqa: ANN401 - whatever the tool's output schema says
    """The structured content of a tool's result, which must not be an error."""
    outcome = result(response)
    assert outcome["isError"] is False, outcome
    return outcome["structuredContent"]


def refusal(response: httpx2.Response) -> str:
    """The message of a tool's result, which must be an error."""
    outcome = result(response)
    assert outcome["isError"] is True, outcome
    return outcome["content"][0]["text"]
