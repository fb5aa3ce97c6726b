"""Plain Python in place of the protobuf messages that azure-functions-runtime builds and reads.

The runtime gets its message classes from the worker that drives it, so these need the names and the few behaviours it
uses, nothing of gRPC. Names are those of azure-functions-language-worker-protobuf.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final


class _Message:
    """Holds the fields that it is made with; a field that is not given is the class's own, or None."""

    def __init__(self, **fields: Any) -> None:  # noqa: ANN401 - whatever the runtime puts in
        self.__dict__.update(fields)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - as above
        if name.startswith("__"):
            raise AttributeError(name)
        return None


WorkerInitResponse = FunctionEnvironmentReloadResponse = FunctionMetadataResponse = FunctionLoadResponse = _Message
WorkerMetadata = RpcRetryOptions = RpcFunctionMetadata = InvocationResponse = _Message


class RpcException(_Message):
    message: str = ""
    stack_trace: str = ""


class StatusResult(_Message):
    Failure: ClassVar[int] = 0
    Success: ClassVar[int] = 1


class BindingInfo(_Message):
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


class ParameterBinding(_Message):
    def WhichOneof(self, _group: str) -> str:  # noqa: N802 - protobuf's name
        return "data"


class RpcHttp:
    """The request of an HTTP trigger as the invocation has it: empty but for the route's parameters."""

    def __init__(self, params: dict[str, str]) -> None:
        self.method = self.url = ""
        self.headers: dict[str, str] = {}
        self.query: dict[str, str] = {}
        self.body = TypedData()
        self.params = params
