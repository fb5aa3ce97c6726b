"""What a client's answers show, in the words of the record. What was not seen is not claimed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.engine.compatibility.drivers import Found

YES = "yes"
CONNECTS = "connects"
"""It says that it is connected, and does not show the tools."""
NO_ACCOUNT = "needs an account"
NOT_OFFERED = "does not offer the tool"
"""It listed the tools, and the one whose role the person lacks was not among them."""
OFFERED = "offers the tool"
NOT_TRIED = "not tried"
SILENT = "says nothing, and waits"
"""What a client does that writes nothing until it is ended."""

OWN_WORDS = frozenset({CONNECTS, NO_ACCOUNT, NOT_OFFERED, OFFERED, NOT_TRIED, SILENT})
"""What no client says itself."""

ROLE_TOOL = "admin_stats"
"""The tool whose role the person lacks."""


def of_calls(found: Found, *, calls: bool) -> dict[str, Any]:
    """What listing and calling showed; `calls` is whether the client calls tools without an account of its maker."""
    facts = found.facts
    tools: Sequence[str] = facts.get("tools") or ()
    seen: dict[str, Any] = {
        "protocol": facts.get("protocol") or "",
        "list": (YES if tools else CONNECTS) if found.ok else readable(found.message),
        "tools": len(tools) or None,
    }
    if not calls:
        return seen | dict.fromkeys(("call", "on_behalf", "progress", "missing_role"), NO_ACCOUNT)
    profile = structured(facts, "graph_me").get("username")
    return seen | {
        "call": YES if structured(facts, "add") == {"result": 2345.75} else text_of(facts.get("add", {})),
        "on_behalf": YES if profile == "user@local.example" else text_of(facts.get("graph_me", {})),
        "progress": progress(facts["arrivals"]) if "arrivals" in facts else NOT_TRIED,
        "missing_role": of_role(facts, tools),
    }


def of_tasks(found: Found) -> dict[str, Any]:
    """What background tasks showed; `work` is a task of three steps, `cancelled` one that was cancelled."""
    work = found.facts.get("work", {})
    return {
        "task_handle": work.get("first", readable(found.message)),
        "task_progress": "as it happens" if work.get("messages") else "not shown",
        "task_result": YES if structured(found.facts, "work") == {"result": 3} else str(work),
        "task_cancelled": readable(text_of(found.facts.get("cancelled", {}))),
    }


def of_role(facts: Mapping[str, Any], tools: Sequence[str]) -> str:
    """What the client says of the tool that the person may not call."""
    if "role" in facts:
        return readable(text_of(facts["role"]))
    return OFFERED if ROLE_TOOL in tools else NOT_OFFERED if tools else NOT_TRIED


def structured(facts: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The structured content of a call's result."""
    return facts.get(name, {}).get("structuredContent") or {}


def text_of(result: dict[str, Any]) -> str:
    """The text of a call's result, or its error."""
    if "error" in result:
        return str(result["error"])
    return " ".join(part.get("text", "") for part in result.get("content", []))


def progress(arrivals: Sequence[float]) -> str:
    """How it came; the tool counts three numbers, 0.4 s apart, and one batch at the end would come at once."""
    if len(arrivals) != 3:
        return "not shown"
    return "as it happens" if arrivals[-1] - arrivals[0] > 0.4 else "at the end"


VARYING = (
    (r" at \S+ \(file:.*", ""),
    (r"https?://(?:localhost|127\.0\.0\.1):\d+", "<server>"),
    (r"(?:localhost|127\.0\.0\.1):\d+", "<server>"),
    (r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<id>"),
    (r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\dZ?", "<time>"),
    (r"\b(?:[0-9a-f]{32}|[\w-]{43})\b", "<id>"),
    (r"\b(after|in) \d+ ?(s|seconds|ms)\b", r"\1 <time>"),
)
MAX_CHARACTERS = 300


def readable(message: str) -> str:
    """The message without what differs in every run, cut to what a table can show."""
    text = " ".join(message.split())
    for pattern, word in VARYING:
        text = re.sub(pattern, word, text)
    return text if len(text) <= MAX_CHARACTERS else f"{text[: MAX_CHARACTERS - 1].rstrip()}…"
