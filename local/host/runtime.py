"""Drives azure-functions-runtime the way Azure's worker does, without gRPC."""

from __future__ import annotations

import json
import os
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from local.host import protos
from local.host.messages import Failed, Function, Invoke, JsonObject, Loaded

if TYPE_CHECKING:
    from pathlib import Path

HOST = "127.0.0.1"


class Runtime:
    """One function app in this process; the runtime keeps its state in modules, so there cannot be two."""

    def __init__(self) -> None:
        import azure_functions_runtime  # imports the SDK: too slow to pay for before it is needed

        self._runtime: Any = azure_functions_runtime
        self._runtime.start_threadpool_executor()

    async def load(self, directory: Path, verb: str = "worker_init_request") -> Loaded | Failed:
        """Index the app of a folder, as at the start of a worker, or with another request that names the folder."""
        if str(directory) not in sys.path:
            sys.path.insert(0, str(directory))
        response = await self._request(
            verb,
            function_app_directory=str(directory),
            capabilities={},
            environment_variables=dict(os.environ),
        )
        if response.result.status != protos.StatusResult.Success:
            fault = response.result.exception
            return Failed(message=fault.message, stack=fault.stack_trace)
        metadata = await self._request("functions_metadata_request")
        indexed = cast("list[Any]", metadata.function_metadata_results or [])
        functions = [
            Function(name=entry.name, id=entry.function_id, trigger=_trigger(entry.raw_bindings)) for entry in indexed
        ]
        for function in functions:
            await self._request("function_load_request", function_id=function.id)
        address: str = response.capabilities.get("HttpUri", "")
        return Loaded(port=urlsplit(address).port, functions=functions)

    async def invoke(self, message: Invoke) -> str | None:
        """Run a function to its end; returns what went wrong, if anything did."""
        kind, data, metadata = message.kind, message.data, {}
        if kind == "http":
            # Empty but for the route's parameters: what else there is comes with the proxied request.
            data = protos.RpcHttp(method="", url="", headers={}, query={}, body=protos.TypedData(), params=data)
        elif kind == "queue":
            metadata = {name: protos.TypedData(json=value) for name, value in data["metadata"].items()}
            kind, data = "string", data["body"]
        try:
            response = await self._request(
                "invocation_request",
                invocation_id=message.id,
                function_id=message.function_id,
                input_data=[protos.ParameterBinding(name=message.binding, data=protos.TypedData(**{kind: data}))],
                trigger_metadata=metadata,
                trace_context=SimpleNamespace(trace_parent="", trace_state="", attributes={}),
                retry_context=SimpleNamespace(retry_count=0, max_retry_count=0, exception=None),
            )
        except Exception as error:  # noqa: BLE001 - the edge of the app
            # The runtime raises KeyError when an invocation fails before its proxied request has arrived.
            return f"{type(error).__name__}: {error}"
        if response.result.status == protos.StatusResult.Success:
            return None
        return response.result.exception.message

    async def _request(self, verb: str, **fields: object) -> Any:  # noqa: ANN401 - one of the runtime's own answers
        request = SimpleNamespace(**{verb: SimpleNamespace(**fields)})
        return await getattr(self._runtime, verb)(
            SimpleNamespace(request=request, properties={"protos": protos, "host": HOST})
        )


def _trigger(raw_bindings: list[str]) -> JsonObject:
    bindings: list[JsonObject] = [json.loads(raw) for raw in raw_bindings]
    return next(binding for binding in bindings if binding["type"].endswith("Trigger"))
