"""Azure Functions support: HTTP streamed to one ASGI application, which starts once per process.

    lifespan = Lifespan(running_app, on_failure=startup_failed, probes=PROBES)
    WebServer.on_start(lifespan.start)
    app = FunctionApp()

    @app.route("{*path}", methods=METHODS, auth_level=AuthLevel.ANONYMOUS)
    async def mcp(req: Request) -> Response:
        return await answer(req, lifespan)

Importing this package registers the web extension with the runtime, which allows one per process.
"""

from entra_mcp.functions.http_stream import METHODS, Request, Response, WebServer, answer
from entra_mcp.functions.lifespan import Lifespan

__all__ = ["METHODS", "Lifespan", "Request", "Response", "WebServer", "answer"]
