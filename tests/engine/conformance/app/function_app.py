"""The engine with what the conformance suite calls by name, as a Functions app."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[4]
sys.path[:0] = [str(ROOT / "src"), str(ROOT)]

import azure.functions as func

from entra_mcp.app import serve
from entra_mcp.functions import METHODS, Request, Response, answer
from entra_mcp.functions.task_functions import add_task_functions
from tests.engine.conformance.app.fixtures import conformance_server

mcp_app = serve(conformance_server())
app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route("{*path}", methods=METHODS)
async def mcp(req: Request) -> Response:
    return await answer(req, mcp_app)


add_task_functions(app, mcp_app)
