"""Entry point of the Functions app: every HTTP request goes to the MCP server, and a timer removes what has expired."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "src"))

import azure.functions as func

from entra_mcp.app import EARLY, purge_expired, running_app, startup_failed
from entra_mcp.functions import Lifespan, Request, Response, WebServer, answer

server = Lifespan(running_app, on_failure=startup_failed, early=EARLY)
WebServer.on_start(server.start)
app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route("{*path}", methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def mcp(req: Request) -> Response:
    return await answer(req, server)


@app.timer_trigger("timer", "0 0 * * * *")
async def purge(timer: func.TimerRequest) -> None:  # noqa: ARG001 - the runtime passes it
    await purge_expired()
