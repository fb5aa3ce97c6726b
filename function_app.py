"""Entry point of the Functions app: joins your server with the engine. Functions of your own go here too."""

import gc
import sys
from pathlib import Path

gc.disable()  # until everything has started: nearly all that is created until then stays
sys.path.insert(0, str(Path(__file__).parent / "src"))

import azure.functions as func

from app.server import server
from entra_mcp.app import purge_expired, serve
from entra_mcp.functions import METHODS, Request, Response, answer
from entra_mcp.functions.task_functions import add_task_functions

mcp_app = serve(server)
app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route("{*path}", methods=METHODS)
async def mcp(req: Request) -> Response:
    return await answer(req, mcp_app)


@app.timer_trigger("timer", "0 0 * * * *")
async def purge(timer: func.TimerRequest) -> None:  # noqa: ARG001 - the runtime passes it
    await purge_expired()


add_task_functions(app, mcp_app)
