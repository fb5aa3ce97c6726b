"""The messages of the tasks extension (SEP-2663), whose shapes differ from the tasks of the revision 2025-11-25."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from mcp.types import INTERNAL_ERROR, InputResponseRequestParams, RequestParams, Result
from pydantic import Field

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcp.types import InputResponses

type Status = Literal["working", "input_required", "completed", "failed", "cancelled"]


class TaskFields(Result):
    """What every description of a task holds. Times are ISO 8601, durations milliseconds."""

    task_id: str
    status: Status
    status_message: str | None = None
    created_at: str
    last_updated_at: str
    ttl_ms: int
    poll_interval_ms: int


class CreateTaskResult(TaskFields):
    """The answer to a `tools/call` that goes on as a task."""

    result_type: Literal["task"] = "task"


class GetTaskResult(TaskFields):
    """The answer to `tasks/get`, with what belongs to the status: result, error, or questions."""

    result_type: Literal["complete"] = "complete"
    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    input_requests: dict[str, Any] | None = None


class Acknowledgement(Result):
    """The answer to `tasks/update` and `tasks/cancel`."""

    result_type: Literal["complete"] = "complete"


class TaskParams(RequestParams):
    """The parameters of `tasks/get` and `tasks/cancel`."""

    task_id: str = Field(max_length=200)


class UpdateTaskParams(TaskParams):
    """The parameters of `tasks/update`: answers by the names of the questions."""

    input_responses: dict[str, Any]


def answers_of(answers: Mapping[str, Any] | None) -> InputResponses | None:
    """Returns the answers of a person as the SDK has them.

    Raises:
        ValidationError: they are none.
    """
    return InputResponseRequestParams.model_validate({"inputResponses": answers}).input_responses if answers else None


def error_of(message: str) -> dict[str, Any]:
    """A JSON-RPC error for a task that failed."""
    return {"code": INTERNAL_ERROR, "message": message}
