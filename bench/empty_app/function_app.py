"""A function that reads a request and answers: what the runtime and the streaming alone cost."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "src"))

import azure.functions as func

from entra_mcp.functions import METHODS, Request, Response

ANSWER = '{"jsonrpc":"2.0","id":1,"result":{"isError":false}}'

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route("{*path}", methods=METHODS)
async def empty(req: Request) -> Response:
    await req.body()
    return Response(ANSWER, media_type="application/json")
