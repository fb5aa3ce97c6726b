"""Which functions an app has for its background tasks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import azure.functions as func
import pytest

from entra_mcp.app import FunctionsApp
from entra_mcp.functions.task_functions import add_task_functions
from tests.support.app.server import SERVER as WITHOUT_TASKS
from tests.support.background.server import SERVER as WITH_TASKS

if TYPE_CHECKING:
    from typing import Any

    from entra_mcp.definition import Server


@pytest.mark.parametrize(
    ("definition", "added"),
    [
        (WITHOUT_TASKS, {}),
        (WITH_TASKS, {"run_task": "mcp-tasks", "judge_task": "mcp-tasks-poison"}),
    ],
    ids=["without tasks", "with tasks"],
)
def test_app_without_tasks_has_no_function_for_them(definition: Server[Any], added: dict[str, str]) -> None:
    app = func.FunctionApp()

    @app.timer_trigger("timer", "0 0 * * * *")
    async def purge(timer: func.TimerRequest) -> None: ...

    add_task_functions(app, FunctionsApp(definition))
    queues = {
        str(each.get_function_name()): binding["queueName"]
        for each in app.get_functions()
        for binding in json.loads(str(each))["bindings"]
        if binding["type"] == "queueTrigger"
    }
    assert queues == added
