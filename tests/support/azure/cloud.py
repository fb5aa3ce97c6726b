"""All of Azure that `ops` talks to, served over TLS on one loopback port from a thread of the test process."""

from __future__ import annotations

from email.utils import format_datetime
from typing import TYPE_CHECKING, Any, override

import jwt
from azure.core.credentials import AccessToken
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local.loopback.serve import bind
from local.loopback.tls import ensure_tls
from ops.clouds import PUBLIC
from tests.support.azure.directory import GraphError, GraphStandIn
from tests.support.azure.resources import ArmError, ArmStandIn
from tests.support.azure.world import (
    CLIENT_ID,
    GROUP,
    OBJECT_ID,
    SUBSCRIPTION,
    TENANT,
    UNIQUE_NAME,
    VAULT,
    VAULT_ID,
    Fault,
    World,
)
from tests.support.serving import ServedFromThread

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

SCOPES = {
    "/graph/": PUBLIC.graph_scope,
    "/arm/": PUBLIC.arm_scope,
    "/secrets/": PUBLIC.vault_scope,
    "/logs/": PUBLIC.logs_scope,
}


class FakeCredential:
    """Somebody who is signed in to the tenant; tokens say for which service they are, as real ones do."""

    def __init__(self, tenant_id: str, **claims: Any) -> None:  # noqa: ANN401 - whatever a token may say
        self.tenant_id = tenant_id
        self._claims = claims

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:  # noqa: ANN401 - azure-core's protocol
        claims = {
            "aud": scopes[0],
            "tid": self.tenant_id,
            "oid": "operator",
            "upn": "operator@contoso.com",
        } | self._claims
        return AccessToken(jwt.encode(claims, "", algorithm="none"), 4102444800)


class CloudStandIn(ServedFromThread):
    """`world` is what it knows and what tests change."""

    def __init__(self, certificates: Path) -> None:
        self.world = World()
        tls = str(ensure_tls(certificates).server)
        binding = bind(port=0, purpose="stand-in for Azure", flag="")
        super().__init__(binding, date_header=False, ssl_certfile=tls, ssl_keyfile=tls, timeout_graceful_shutdown=1)
        self.authority = f"127.0.0.1:{binding.port}"
        self.url = f"https://{self.authority}"

    def environment(self) -> dict[str, str]:
        """The variables that azd gives to its hooks, and the addresses of this stand-in."""
        return {
            "AZURE_TENANT_ID": TENANT,
            "AZURE_SUBSCRIPTION_ID": SUBSCRIPTION,
            "AZURE_LOCATION": "swedencentral",
            "AZURE_ENV_NAME": "dev",
            "AZURE_RESOURCE_GROUP": GROUP,
            "AZURE_KEY_VAULT_NAME": VAULT,
            "AZURE_KEY_VAULT_ID": VAULT_ID,
            "ENTRA_TENANT_ID": TENANT,
            "ENTRA_CLIENT_ID": CLIENT_ID,
            "ENTRA_APP_OBJECT_ID": OBJECT_ID,
            "ENTRA_APP_UNIQUE_NAME": UNIQUE_NAME,
            "AUTH_MODE": "proxy",
            "ENTRA_AUTHORITY": self.authority,
            "GRAPH_BASE_URL": f"{self.url}/graph",
            "AZURE_RESOURCE_MANAGER_URL": f"{self.url}/arm",
            "AZURE_LOGS_URL": f"{self.url}/logs",
        }

    def routes(self) -> list[Route]:
        """The services, one beside the other."""
        issuer = Route("/idp/{path:path}", self._issuer)
        return [issuer, *GraphStandIn(self.world).routes(), *ArmStandIn(self.world).routes()]

    async def _issuer(self, request: Request) -> Response:
        document = self.world.issuer.get(request.path_params["path"])
        return JSONResponse(document, status_code=404 if document is None else 200)

    def reset(self) -> None:
        """Forgets everything, for the next test."""
        self.world.__dict__.update(World().__dict__)

    @override
    def app(self) -> ASGIApp:
        app = Starlette(routes=self.routes(), exception_handlers={GraphError: _refusal, ArmError: _refusal})
        return _Gate(app, world=self.world)


class _Gate:
    """Notes each request, checks its token, plays the planted faults, and stamps the answer with the world's time."""

    def __init__(self, app: ASGIApp, *, world: World) -> None:
        self._app = app
        self._world = world

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        path = scope["path"]
        body = await request.body()
        self._world.requests.append((request.method, path))
        kill = self._world.kill
        strikes = kill is not None and len(self._world.requests) == kill.at
        if kill is not None and strikes and not kill.served:
            kill.strike()
            return

        async def replay() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def stamped(message: Message) -> None:
            if message["type"] == "http.response.start":
                date = format_datetime(self._world.now(), usegmt=True)
                message["headers"] = [*message["headers"], (b"date", date.encode())]
            await send(message)

        answer = self._refusal(request)
        if answer is None and (fault := self._fault(request)) is not None:
            answer = JSONResponse(fault.body, status_code=fault.status, headers=fault.headers)
            if fault.served:
                await self._app(scope, replay, _nowhere)
        if kill is not None and strikes:
            await (answer or self._app)(scope, replay, _nowhere)
            kill.strike()
            return
        await (answer or self._app)(scope, replay, stamped)

    def _fault(self, request: Request) -> Fault | None:
        for fault in self._world.faults:
            if fault.times and fault.method == request.method and fault.path in request.url.path:
                fault.times -= 1
                return fault
        return None

    def _refusal(self, request: Request) -> Response | None:
        wanted = next((scope for prefix, scope in SCOPES.items() if request.url.path.startswith(prefix)), None)
        if wanted is None:
            return None
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        try:
            claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
        except jwt.InvalidTokenError:
            claims = {}
        if claims.get("aud") == wanted and claims.get("tid") == TENANT:
            return None
        error = {"code": "InvalidAuthenticationToken", "message": "Access token validation failure. Invalid audience."}
        return JSONResponse({"error": error}, status_code=401)


async def _nowhere(_: Message) -> None:
    """The answer that nobody gets."""


async def _refusal(_: Request, error: Exception) -> Response:
    assert isinstance(error, GraphError | ArmError)
    return error.response
