"""The real app, with the tools, resources and prompts on its server that the conformance suite calls by name."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[4]
sys.path[:0] = [str(ROOT / "src"), str(ROOT)]

import azure.functions as func

import entra_mcp.app
from entra_mcp.functions import Lifespan, Request, Response, WebServer, answer
from tests.engine.conformance.app.fixtures import with_fixtures

entra_mcp.app.create_server = with_fixtures(entra_mcp.app.create_server)

server = Lifespan(entra_mcp.app.running_app, on_failure=entra_mcp.app.startup_failed, early=entra_mcp.app.EARLY)
WebServer.on_start(server.start)
app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route("{*path}")
async def mcp(req: Request) -> Response:
    return await answer(req, server)
