"""The functions of an app whose tools run as background tasks; an app without such tools gets none of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import azure.functions as func  # noqa: TC002 - the runtime reads the annotations

from entra_mcp.functions.log_lines import kept_lines_at_the_end
from entra_mcp.tasks.queue import POISON_QUEUE, QUEUE

if TYPE_CHECKING:
    from collections.abc import Callable

    from entra_mcp.app import FunctionsApp

    type Trigger = Callable[[str, str, str], Callable[[Callable[..., Any]], object]]

STORAGE = "AzureWebJobsStorage"


def add_task_functions(app: func.FunctionApp, mcp_app: FunctionsApp) -> None:
    """Adds the functions `run_task` and `judge_task`, if a tool is declared with `task=True`.

    The names of parameters are those of bindings, and annotations have to be there when the function is indexed.
    """
    if not mcp_app.has_tasks:
        return

    async def run_task(message: func.QueueMessage) -> None:
        with kept_lines_at_the_end():
            await (await mcp_app.task_runner()).run(message.get_body())

    async def judge_task(message: func.QueueMessage) -> None:
        with kept_lines_at_the_end():
            await (await mcp_app.task_runner()).judge(message.get_body())

    # The SDK leaves the options of a trigger without types.
    queue_trigger = cast("Trigger", app.queue_trigger)  # pyright: ignore[reportUnknownMemberType] - the SDK's
    queue_trigger("message", QUEUE, STORAGE)(run_task)
    queue_trigger("message", POISON_QUEUE, STORAGE)(judge_task)
