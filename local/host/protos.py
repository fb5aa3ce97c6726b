"""Plain Python in place of the protobuf messages that azure-functions-runtime builds and reads.

The runtime gets its message classes from the worker that drives it, so these need the names and the few behaviours it
uses, nothing of gRPC. Names are those of azure-functions-language-worker-protobuf.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta  # noqa: TC003 - a dataclass field
from typing import ClassVar, Final


@dataclass(kw_only=True)
class RpcException:
    message: str = ""
    stack_trace: str = ""
    source: str = ""


@dataclass(kw_only=True)
class StatusResult:
    Failure: ClassVar[int] = 0
    Success: ClassVar[int] = 1
    Cancelled: ClassVar[int] = 2

    status: int
    result: str = ""
    exception: RpcException | None = None


@dataclass(kw_only=True)
class WorkerMetadata:
    runtime_name: str
    runtime_version: str
    worker_version: str
    worker_bitness: str
    custom_properties: dict[str, str]


@dataclass(kw_only=True)
class BindingInfo:
    out: ClassVar[int] = 1
    inout: ClassVar[int] = 2
    undefined: ClassVar[int] = 0

    type: str
    data_type: int | None = None
    direction: int = 0


@dataclass(kw_only=True)
class RpcRetryOptions:
    max_retry_count: int
    retry_strategy: str
    delay_interval: timedelta | None = None
    minimum_interval: timedelta | None = None
    maximum_interval: timedelta | None = None


@dataclass(kw_only=True)
class RpcFunctionMetadata:
    name: str
    function_id: str
    directory: str
    script_file: str
    entry_point: str
    language: str
    managed_dependency_enabled: bool
    is_proxy: bool
    bindings: dict[str, BindingInfo]
    raw_bindings: list[str]
    retry_options: RpcRetryOptions | None
    properties: dict[str, str]


@dataclass(kw_only=True)
class WorkerInitResponse:
    result: StatusResult
    capabilities: dict[str, str] = field(default_factory=dict[str, str])
    worker_metadata: WorkerMetadata | None = None


class FunctionEnvironmentReloadResponse(WorkerInitResponse):
    """The answer when a placeholder process becomes a certain app."""


@dataclass(kw_only=True)
class FunctionMetadataResponse:
    result: StatusResult
    use_default_metadata_indexing: bool
    function_metadata_results: list[RpcFunctionMetadata] | None


@dataclass(kw_only=True)
class FunctionLoadResponse:
    result: StatusResult
    function_id: str


class TypedData:
    """Holds one value under the name of its kind; asking for any other name is an AttributeError, as it must be."""

    def __init__(self, **kind_and_value: object) -> None:
        self._kind: Final = next(iter(kind_and_value), None)
        self.__dict__.update(kind_and_value)

    def WhichOneof(self, _group: str) -> str | None:  # noqa: N802 - protobuf's name
        return self._kind


@dataclass(kw_only=True)
class ParameterBinding:
    name: str
    data: TypedData | None

    def WhichOneof(self, _group: str) -> str:  # noqa: N802 - protobuf's name
        return "data"


@dataclass(kw_only=True)
class RpcHttp:
    method: str = ""
    url: str = ""
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: TypedData = field(default_factory=TypedData)
    params: dict[str, str] = field(default_factory=dict[str, str])
    query: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(kw_only=True)
class InvocationResponse:
    invocation_id: str
    result: StatusResult
    return_value: TypedData | None = None
    output_data: list[ParameterBinding] = field(default_factory=list[ParameterBinding])
