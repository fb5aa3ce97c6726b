"""Plain Python in place of the protobuf messages that azure-functions-runtime builds and reads.

The runtime gets its message classes from the worker that drives it, so these need the names and the few behaviours it
uses, nothing of gRPC. Names are those of azure-functions-language-worker-protobuf.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import ClassVar, Final

WorkerInitResponse = WorkerMetadata = FunctionEnvironmentReloadResponse = SimpleNamespace
FunctionMetadataResponse = FunctionLoadResponse = RpcFunctionMetadata = RpcRetryOptions = SimpleNamespace
InvocationResponse = RpcException = RpcHttp = SimpleNamespace


class StatusResult(SimpleNamespace):
    Failure: ClassVar[int] = 0
    Success: ClassVar[int] = 1


class BindingInfo(SimpleNamespace):
    undefined: ClassVar[int] = 0
    out: ClassVar[int] = 1
    inout: ClassVar[int] = 2


class TypedData:
    """Holds one value under the name of its kind; asking for any other name is an AttributeError, as it must be."""

    def __init__(self, **kind_and_value: object) -> None:
        self._kind: Final = next(iter(kind_and_value), None)
        self.__dict__.update(kind_and_value)

    def WhichOneof(self, _group: str) -> str | None:  # noqa: N802 - protobuf's name
        return self._kind


class ParameterBinding(SimpleNamespace):
    def WhichOneof(self, _group: str) -> str:  # noqa: N802 - protobuf's name
        return "data"
