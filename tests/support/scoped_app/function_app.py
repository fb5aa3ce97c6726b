"""The engine's test app with tools that name scopes of their own, as a Functions app."""

import sys
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).parents[3]
sys.path[:0] = [str(ROOT / "src"), str(ROOT)]

import azure.functions as func

from entra_mcp.app import serve
from entra_mcp.functions import METHODS, Request, Response, answer
from tests.support import scoped
from tests.support.app.server import SERVER

mcp_app = serve(replace(SERVER, components=(*SERVER.components, scoped)))
app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route("{*path}", methods=METHODS)
async def mcp(req: Request) -> Response:
    return await answer(req, mcp_app)
