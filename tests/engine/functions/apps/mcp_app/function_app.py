"""A small app that behaves like the real one, with routes that show what happens inside the worker."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[5]
sys.path[:0] = [str(ROOT / "src"), str(ROOT)]

import azure.functions as func

from entra_mcp.functions import Lifespan, Request, Response, WebServer, answer
from tests.engine.functions.apps.mcp_app.fixture import Fixture

fixture = Fixture()
server = Lifespan(fixture.running_app, on_failure=fixture.startup_failed, probes=fixture.early)
WebServer.on_start(server.start)
app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route("{*path}")
async def mcp(req: Request) -> Response:
    return await answer(req, server)


@app.route("broken/{kind}")
async def broken(req: Request) -> Response:
    fixture.break_function(str(req.path_params["kind"]))
    return await answer(req, server)


@app.timer_trigger("timer", "0 0 0 1 1 *")
async def purge(timer: func.TimerRequest) -> None:
    fixture.fired.append("purge")


@app.timer_trigger("timer", "* * * * * *", run_on_startup=True)
async def tick(timer: func.TimerRequest) -> None:
    fixture.fired.append("tick")
