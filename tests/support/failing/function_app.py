"""The app of the background tasks with two paths, and a timer, that fail."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
sys.path[:0] = [str(ROOT / "src"), str(ROOT)]

import azure.functions as func

from entra_mcp.app import serve
from entra_mcp.functions import METHODS, Request, Response, answer
from entra_mcp.functions.task_functions import add_task_functions
from tests.support.background.server import SERVER

mcp_app = serve(SERVER)
app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route("{*path}", methods=METHODS)
async def mcp(req: Request) -> Response:
    return await answer(req, {"/broken": broken, "/away": Response(status_code=503)}.get(req.url.path, mcp_app))


async def broken(scope: object, receive: object, send: object) -> None:
    raise RuntimeError("on purpose")


@app.timer_trigger("timer", "0 0 * * * *")
async def purge(timer: func.TimerRequest) -> None:
    raise RuntimeError("on purpose")


add_task_functions(app, mcp_app)
