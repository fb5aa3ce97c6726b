"""Stand-ins for the other APIs of the directory file: they check the bearer token, show what it says, and serve lists.

    GET /apis/{api}                       what the token says
    GET /apis/{api}/{collection}          a page: `limit` items after `cursor`, and the next cursor
    GET /apis/{api}/{collection}/{id}     one item, or 404

Errors are those of RFC 6750 section 3, and the faults that the control API asks for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse
from starlette.routing import Route

from local.entra.protected import ApiError, bearer_claims, number, scopes_of
from local.entra.state import ApiFault

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from local.directory import Api, Collection
    from local.entra.shared import Entra

PAGE_SIZE, LARGEST_PAGE = 10, 100


class Apis:
    """Routes under /apis."""

    def __init__(self, entra: Entra) -> None:
        self._entra = entra

    def routes(self) -> list[Route]:
        def route(path: str, handler: Callable[[Request, Api], Awaitable[JSONResponse]]) -> Route:
            async def answer(request: Request) -> JSONResponse:
                try:
                    return await handler(request, self._api(request))
                except ApiError as error:
                    body = {"error": {"code": error.code, "message": error.message}}
                    return JSONResponse(body, status_code=error.status, headers=error.headers)

            return Route(f"/apis/{{api}}{path}", answer)

        return [route("", self.show), route("/{collection}", self.page), route("/{collection}/{id}", self.item)]

    async def show(self, request: Request, api: Api) -> JSONResponse:
        """The claims of the token, verified."""
        return JSONResponse(self._claims(request, api, scopes=api.scopes))

    async def page(self, request: Request, api: Api) -> JSONResponse:
        items, query, code = self._collection(request, api).items, request.query_params, "invalid_request"
        limit = number(query, "limit", default=PAGE_SIZE, smallest=1, largest=LARGEST_PAGE, code=code)
        begin = number(query, "cursor", default=0, smallest=0, largest=len(items), code=code)
        end = begin + limit
        return JSONResponse({"items": items[begin:end], "next_cursor": str(end) if end < len(items) else None})

    async def item(self, request: Request, api: Api) -> JSONResponse:
        identifier = request.path_params["id"]
        for item in self._collection(request, api).items:
            if item["id"] == identifier:
                return JSONResponse(item)
        raise ApiError(404, "not_found", f"There is no {identifier!r}.")

    def _api(self, request: Request) -> Api:
        key = request.path_params["api"]
        if key not in self._entra.apis:
            raise ApiError(404, "not_found", f"The directory file has no API {key!r}.")
        if fault := self._entra.state.take_fault(ApiFault, api=key):
            raise ApiError(fault.status, "fault", "Asked for through the control API.", headers=fault.headers)
        return self._entra.apis[key]

    def _collection(self, request: Request, api: Api) -> Collection:
        """The one of the path, once the token may read it: who may not does not learn what there is."""
        collection = api.collections.get(request.path_params["collection"])
        self._claims(request, api, scopes=api.scopes if collection is None else (collection.scope,))
        if collection is None:
            raise ApiError(404, "not_found", "There is no such list.")
        return collection

    def _claims(self, request: Request, api: Api, *, scopes: tuple[str, ...]) -> dict[str, Any]:
        """Claims of the token; 401 when it is not for this API, 403 when it has none of the scopes."""
        resource = self._entra.scopes.apis[request.path_params["api"]]
        claims = bearer_claims(request, keys=self._entra.keys, audiences=(resource.audience,), refused=_unauthorized)
        if claims["iss"] != self._entra.issuer(str(claims.get("tid")), version=resource.version):
            raise _unauthorized("Access token validation failure. Invalid issuer.")
        granted = scopes_of(claims)
        if not granted & set(scopes) and (granted or not set(claims.get("roles", ())) & set(api.app_roles)):
            message = f"The token has none of these scopes: {' '.join(scopes)}"
            challenge = f'Bearer error="insufficient_scope", scope="{" ".join(scopes)}"'
            raise ApiError(403, "insufficient_scope", message, headers={"WWW-Authenticate": challenge})
        return claims


def _unauthorized(message: str) -> ApiError:
    challenge = f'Bearer error="invalid_token", error_description="{message}"'
    return ApiError(401, "invalid_token", message, headers={"WWW-Authenticate": challenge})
