"""Reads answers of the streamable HTTP transport."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx2


def result(response: httpx2.Response) -> dict[str, Any]:
    """The result of a request, from JSON or from an event stream."""
    assert response.status_code == 200, response.text
    if response.headers["content-type"].startswith("application/json"):
        return response.json()["result"]
    messages = [json.loads(line[5:]) for line in response.text.splitlines() if line.startswith("data:")]
    results = [message["result"] for message in messages if "result" in message]
    assert results, f"the stream ended without a result: {response.text}"
    return results[0]


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
