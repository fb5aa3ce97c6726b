"""The secrets API, as far as the server, the operator's commands and the tests call it.

Source: https://learn.microsoft.com/rest/api/keyvault/secrets
"""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local.loopback.host_header import loopback_app
from local.vault.documents import bundle, checked_name, item, read_body
from local.vault.errors import VaultError, bad_parameter
from local.vault.roles import check_role

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.types import ASGIApp

    from local.vault.bearer import BearerCheck
    from local.vault.state import SecretVersion, VaultState

PAGE_SIZE = 25
NOT_FOUND = (
    "A secret with (name/id) {} was not found in this key vault. If you recently deleted this secret you may "
    "be able to recover it using the correct recovery command. For help resolving this issue, please see "
    "https://go.microsoft.com/fwlink/?linkid=2125182"
)
_API_VERSION = re.compile(r"7\.\d(-preview\.\d)?|20\d\d-\d\d-\d\d(-preview)?")


class Vault:
    """Routes of one vault; every one but /healthz needs an api-version, a token and a role."""

    def __init__(self, *, state: VaultState, bearer: BearerCheck) -> None:
        self._state = state
        self._bearer = bearer

    def app(self) -> ASGIApp:
        routes = [
            self._route("/secrets/{name}", self.set_secret, "PUT", "setSecret/action"),
            self._route("/secrets/{name}/versions", self.list_versions, "GET", "readMetadata/action"),
        ]
        # The SDK asks for the newest version with an empty one, which is a trailing slash.
        asked = ("/secrets/{name}", "/secrets/{name}/", "/secrets/{name}/{version}")
        routes += [self._route(path, self.get_secret, "GET", "getSecret/action") for path in asked]
        return loopback_app(routes)

    async def get_secret(self, request: Request) -> Response:
        secret = self._find(request)
        if not secret.sent.attributes.enabled:
            message = "Operation get is not allowed on a disabled secret."
            raise VaultError(403, "Forbidden", message, inner="SecretDisabled")
        return JSONResponse(bundle(secret, base=_base(request)))

    async def set_secret(self, request: Request) -> Response:
        name = checked_name(request.path_params["name"])
        secret = self._state.set(name, read_body(await request.body()))
        return JSONResponse(bundle(secret, base=_base(request)))

    async def list_versions(self, request: Request) -> Response:
        name = self._find(request).name
        after, limit = _page(request)
        found = self._state.versions(name, after=after, limit=limit + 1)
        # One more than fits was asked for, to know whether another page follows.
        page, following = found[:limit], None
        if len(found) > limit:
            following = str(request.url.include_query_params(**{"$skiptoken": page[-1].sequence, "maxresults": limit}))
        return JSONResponse({"value": [item(one, base=_base(request)) for one in page], "nextLink": following})

    def _find(self, request: Request) -> SecretVersion:
        name = checked_name(request.path_params["name"])
        version = request.path_params.get("version") or None
        secret = self._state.get(name, version)
        if secret is None:
            raise VaultError(404, "SecretNotFound", NOT_FOUND.format(f"{name}/{version}" if version else name))
        return secret

    def _route(self, path: str, handler: Callable[[Request], Awaitable[Response]], method: str, action: str) -> Route:
        async def guarded(request: Request) -> Response:
            try:
                # The token comes first: a stranger learns from Key Vault only where to get one.
                claims = await self._bearer.check(request.headers.get("authorization", ""))
                _check_api_version(request)
                check_role(claims, action=action, name=request.path_params["name"])
                response = await handler(request)
            except VaultError as error:
                headers = {"WWW-Authenticate": self._bearer.challenge} if error.status == 401 else None
                response = JSONResponse(error.document(), status_code=error.status, headers=headers)
            response.headers["Cache-Control"] = "no-cache"
            response.headers["x-ms-request-id"] = str(uuid.uuid4())
            response.headers["x-ms-keyvault-service-version"] = "local"
            return response

        return Route(path, guarded, methods=[method])


def _base(request: Request) -> str:
    return str(request.base_url).rstrip("/")


def _check_api_version(request: Request) -> None:
    version = request.query_params.get("api-version")
    if not version:
        raise bad_parameter("api-version must be specified")
    if not _API_VERSION.fullmatch(version):
        raise bad_parameter(f"The specified version ({version}) is not recognized. Use 7.0 to 7.6 or a later date.")


def _page(request: Request) -> tuple[int, int]:
    """Where the page starts and how many members it may have."""
    token, size = request.query_params.get("$skiptoken", "0"), request.query_params.get("maxresults", str(PAGE_SIZE))
    if not size.isdecimal() or not 1 <= int(size) <= PAGE_SIZE:
        raise bad_parameter(f"maxresults must be between 1 and {PAGE_SIZE}.")
    if not token.isdecimal():
        raise bad_parameter("The $skiptoken is not valid.")
    return int(token), int(size)
