"""The messages between the host and its worker process: one JSON object a line, over the worker's stdin and stdout.

At the end of stdin the worker has to leave the app's lifespan and to exit.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, cast

type JsonObject = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A function as indexing found it."""

    name: str
    id: str
    trigger: JsonObject
    """The one binding whose type ends with `Trigger`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """Worker to host: the app is indexed, and takes proxied requests at `port` if it streams HTTP."""

    port: int | None
    functions: list[Function]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """Worker to host: the app cannot be indexed."""

    message: str
    stack: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Invoke:
    """Host to worker: run a function. `kind` names the TypedData field of `data`; for `http` it has the route's
    parameters, and for `queue` the message's `body` and what the host adds to it (`metadata`), each value as JSON.
    """

    id: str
    function_id: str
    binding: str
    kind: str
    data: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """Worker to host: a line of the app's log, at `time` (POSIX), in the invocation with that id, if in any."""

    invocation: str | None
    time: float
    level: str
    logger: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """Worker to host: the function returned, or raised `error`."""

    id: str
    error: str | None


type Message = Loaded | Failed | Invoke | Logged | Ended

_KINDS: dict[str, type[Message]] = {kind.__name__: kind for kind in (Loaded, Failed, Invoke, Logged, Ended)}


def encode(message: Message) -> bytes:
    return json.dumps({type(message).__name__: asdict(message)}).encode() + b"\n"


def decode(line: bytes) -> Message:
    ((name, fields),) = cast("dict[str, JsonObject]", json.loads(line)).items()
    if name == "Loaded":
        fields["functions"] = [Function(**function) for function in fields["functions"]]
    return _KINDS[name](**fields)
