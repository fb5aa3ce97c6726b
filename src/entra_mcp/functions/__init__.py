"""What knows Azure Functions: HTTP streamed to one ASGI application, which starts once per process.

    server = Lifespan(running_app, on_failure=startup_failed, early=EARLY)
    WebServer.on_start(server.start)
    app = FunctionApp()

    @app.route("{*path}", auth_level=AuthLevel.ANONYMOUS)
    async def mcp(req: Request) -> Response:
        return await answer(req, server)

Importing this package registers the web extension with the runtime, which allows one per process.
"""

from entra_mcp.functions.http_stream import Request, Response, WebServer, answer
from entra_mcp.functions.lifespan import Lifespan, LifespanClosed, LifespanEnded

__all__ = ["Lifespan", "LifespanClosed", "LifespanEnded", "Request", "Response", "WebServer", "answer"]
