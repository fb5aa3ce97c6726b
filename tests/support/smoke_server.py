"""A server that answers the smoke test as it should, but for the one fault that a test gives it.

The page of Entra ID is on the same port under the other name of this machine, which is another origin.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, override
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from local.loopback.serve import bind
from tests.support.serving import ServedFromThread

if TYPE_CHECKING:
    from starlette.requests import Request

CLIENT_ID = "22222222-2222-4222-8222-222222222222"
NO_STORE = {"Cache-Control": "no-store"}
CONSENT = '<form method="post" action=""><input type="hidden" name="t" value="1"><button>Allow Access</button></form>'


class SmokeServer(ServedFromThread):
    """`fault` is the name of what is wrong with it."""

    def __init__(self) -> None:
        self.fault = ""
        self.coming_up: list[int] = []
        """Statuses of /healthz before the server is there."""
        binding = bind(port=0, purpose="server under test", flag="")
        super().__init__(binding)
        self.url = f"http://127.0.0.1:{binding.port}"
        self.entra = f"http://localhost:{binding.port}"

    @override
    def app(self) -> Starlette:
        routes = [
            Route("/healthz", self.health),
            Route("/readyz", self.ready),
            Route("/.well-known/oauth-protected-resource/mcp", self.resource),
            Route("/.well-known/oauth-authorization-server", self.metadata),
            Route("/mcp", self.mcp, methods=["POST"]),
            Route("/register", self.register, methods=["POST"]),
            Route("/authorize", self.authorize),
            Route("/consent", self.consent, methods=["GET", "POST"]),
            Route("/token", self.token, methods=["POST"]),
            Route("/auth/callback", self.callback),
            Route("/tenant/oauth2/v2.0/authorize", self.entra_page),
            Route("/tenant/v2.0/.well-known/openid-configuration", self.entra_metadata),
        ]
        return Starlette(routes=routes)

    def has(self, fault: str) -> bool:
        return self.fault == fault

    async def health(self, _: Request) -> Response:
        if self.coming_up:
            return Response(status_code=self.coming_up.pop(0))
        return JSONResponse({"status": "alive"}, status_code=404 if self.has("not deployed") else 200)

    async def ready(self, _: Request) -> Response:
        if self.has("not ready"):
            return JSONResponse({"status": "not ready", "unavailable": ["table_storage"]}, status_code=503)
        return JSONResponse({"status": "ready"})

    async def resource(self, _: Request) -> Response:
        base = self.entra if self.has("other base url") else self.url
        servers = [f"{self.entra}/tenant/v2.0"] if self.has("verify mode") else [f"{self.url}/"]
        scopes: list[str] = [] if self.has("no scopes") else ["access_as_user"]
        return JSONResponse({"resource": f"{base}/mcp", "authorization_servers": servers, "scopes_supported": scopes})

    async def metadata(self, _: Request) -> Response:
        if self.has("not a server"):
            return HTMLResponse("<h1>Welcome</h1>")
        base = self.entra if self.has("other issuer") else self.url
        asserted = self.fault in {"identity assertions", "no grant for assertions"}
        grants = ["urn:ietf:params:oauth:grant-type:jwt-bearer"] if self.has("identity assertions") else []
        profiles = {"authorization_grant_profiles_supported": ["urn:ietf:params:oauth:grant-profile:id-jag"]}
        return JSONResponse(
            {
                **(profiles if asserted else {}),
                "issuer": f"{base}/",
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "registration_endpoint": f"{self.url}/register",
                "response_types_supported": ["code"],
                "grant_types_supported": ["authorization_code", "refresh_token", *grants],
                "code_challenge_methods_supported": ["plain"] if self.has("plain pkce") else ["S256"],
            }
        )

    async def mcp(self, request: Request) -> Response:
        if self.has("open"):
            return JSONResponse({"jsonrpc": "2.0", "id": 1, "result": {}})
        place = f'resource_metadata="{self.url}/.well-known/oauth-protected-resource/mcp"'
        challenge = "Bearer" if self.has("no challenge") else f"Bearer {place}"
        if "authorization" in request.headers and not self.has("token not refused"):
            challenge = f'Bearer error="invalid_token", {place}'
        return JSONResponse({}, status_code=401, headers={"WWW-Authenticate": challenge})

    async def register(self, request: Request) -> Response:
        (redirect,) = (await request.json())["redirect_uris"]
        if self.has("registration refused"):
            return JSONResponse({"error": "invalid_client_metadata"}, status_code=400)
        if self.has("proxy refuses"):
            return HTMLResponse("invalid_redirect_uri", status_code=400)
        if self.has("no loopback clients") or ("invalid" in redirect and not self.has("any client")):
            return JSONResponse({"error": "invalid_redirect_uri"}, status_code=400)
        return JSONResponse({"client_id": "a-client"}, status_code=201)

    async def authorize(self, request: Request) -> Response:
        query = request.query_params
        refused = JSONResponse({"error": "invalid_request"}, status_code=400)
        if query["client_id"] != "a-client" and not self.has("any client id"):
            return refused
        if "invalid" in query["redirect_uri"]:
            return RedirectResponse(query["redirect_uri"], status_code=302) if self.has("open redirect") else refused
        if query.get("code_challenge_method") != "S256" and not self.has("no pkce needed"):
            return RedirectResponse(f"{query['redirect_uri']}?error=invalid_request", status_code=302)
        return RedirectResponse(f"/consent?state={query['state']}", status_code=302)

    async def consent(self, request: Request) -> Response:
        if request.method == "GET":
            return HTMLResponse("<p>Error</p>" if self.has("no consent page") else CONSENT)
        where = "/tenant/elsewhere" if self.has("not entra") else "/tenant/oauth2/v2.0/authorize"
        return RedirectResponse(f"{self.entra}{where}?{urlencode(self.entra_query(request))}", status_code=302)

    def entra_query(self, request: Request) -> dict[str, str]:
        faults: dict[str, dict[str, str]] = {
            "other redirect uri": {"redirect_uri": f"{self.entra}/auth/callback"},
            "no own scope": {"scope": "openid offline_access"},
            "no offline access": {"scope": f"api://{CLIENT_ID}/access_as_user openid"},
            "client's state": {"state": request.query_params["state"]},
            "no upstream pkce": {"code_challenge": ""},
            "resource beside scope": {"resource": f"{self.url}/mcp"},
        }
        return {
            "response_type": "code",
            "client_id": CLIENT_ID,
            "redirect_uri": f"{self.url}/auth/callback",
            "scope": f"api://{CLIENT_ID}/access_as_user openid offline_access",
            "state": "of the server",
            "code_challenge": "c" * 43,
            "code_challenge_method": "S256",
            **faults.get(self.fault, {}),
        }

    async def entra_page(self, _: Request) -> Response:
        if self.has("redirect uri not registered"):
            return HTMLResponse("Sorry. AADSTS50011: The redirect URI 'x' does not match.")
        return HTMLResponse("<h1>Sign in</h1><p>Some answer AADSTS65001: no consent</p>")

    async def entra_metadata(self, _: Request) -> Response:
        return JSONResponse({"jwks_uri": f"{self.entra}/keys", "authorization_endpoint": f"{self.entra}/authorize"})

    async def token(self, _: Request) -> Response:
        if self.has("codes not checked"):
            return JSONResponse({"access_token": "x"}, headers=NO_STORE)
        headers: dict[str, Any] = {} if self.has("tokens cached") else NO_STORE
        return JSONResponse({"error": "invalid_grant"}, status_code=400, headers=headers)

    async def callback(self, _: Request) -> Response:
        if self.has("callback not checked"):
            return RedirectResponse("http://127.0.0.1:1/callback?code=1", status_code=302)
        return HTMLResponse("Unknown", status_code=400)
