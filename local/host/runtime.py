"""Drives azure-functions-runtime the way Azure's worker does, without gRPC."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from local.host import protos
from local.host.messages import Failed, Function, Invoke, Loaded

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

HOST = "127.0.0.1"


class IndexingFailed(Exception):  # noqa: N818 - it carries the message to send
    def __init__(self, exception: protos.RpcException) -> None:
        super().__init__(exception.message)
        self.report = Failed(message=exception.message, stack=exception.stack_trace)


class Runtime:
    """One function app in this process; the runtime keeps its state in modules, so there cannot be two."""

    def __init__(self) -> None:
        import azure_functions_runtime  # imports the SDK: too slow to pay for before it is needed

        self._runtime: Any = azure_functions_runtime
        self._runtime.start_threadpool_executor()

    async def init(self, directory: Path) -> Loaded:
        """Index the app of a folder, as at the start of a worker; raises IndexingFailed."""
        if str(directory) not in sys.path:
            sys.path.insert(0, str(directory))
        request = SimpleNamespace(capabilities={}, function_app_directory=str(directory))
        return await self._loaded(await self._runtime.worker_init_request(_request(worker_init_request=request)))

    async def reload(self, directory: Path, environment: Mapping[str, str]) -> Loaded:
        """Become the app of a folder, as a placeholder process in Azure does; raises IndexingFailed."""
        request = SimpleNamespace(environment_variables=dict(environment), function_app_directory=str(directory))
        reload = self._runtime.function_environment_reload_request
        return await self._loaded(await reload(_request(function_environment_reload_request=request)))

    async def invoke(self, message: Invoke) -> str | None:
        """Run a function to its end; returns what went wrong, if anything did."""
        data = (
            protos.TypedData(http=protos.RpcHttp(message.params))
            if message.kind == "http"
            else protos.TypedData(**{message.kind: message.data})
        )
        request = SimpleNamespace(
            invocation_id=message.id,
            function_id=message.function_id,
            input_data=[protos.ParameterBinding(name=message.binding, data=data)],
            trigger_metadata={},
            trace_context=SimpleNamespace(trace_parent="", trace_state="", attributes={}),
            retry_context=SimpleNamespace(retry_count=0, max_retry_count=0, exception=None),
        )
        try:
            response = await self._runtime.invocation_request(_request(invocation_request=request))
        except Exception as error:  # noqa: BLE001 - the edge of the app
            # The runtime raises KeyError when an invocation fails before its proxied request has arrived.
            return f"{type(error).__name__}: {error}"
        return None if response.result.status == protos.StatusResult.Success else _message(response.result.exception)

    async def _loaded(self, response: protos.WorkerInitResponse) -> Loaded:
        if response.result.status != protos.StatusResult.Success:
            raise IndexingFailed(response.result.exception or protos.RpcException(message="Unknown failure."))
        metadata = await self._runtime.functions_metadata_request(_request(functions_metadata_request=None))
        indexed = cast("list[protos.RpcFunctionMetadata]", metadata.function_metadata_results or [])
        functions = [
            Function(name=entry.name, id=entry.function_id, bindings=[json.loads(raw) for raw in entry.raw_bindings])
            for entry in indexed
        ]
        for function in functions:
            load = SimpleNamespace(function_id=function.id)
            await self._runtime.function_load_request(_request(function_load_request=load))
        return Loaded(http=response.capabilities.get("HttpUri"), functions=functions)


def _request(**verb: object) -> SimpleNamespace:
    return SimpleNamespace(request=SimpleNamespace(**verb), properties={"protos": protos, "host": HOST})


def _message(exception: protos.RpcException | None) -> str:
    return exception.message if exception else "The function failed."
