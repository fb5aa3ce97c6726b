"""The token endpoint: form in, token response or AADSTS error out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import JSONResponse
from starlette.routing import Route

from local.entra.errors import EntraError, RequestIds, error_document
from local.entra.state import TOKEN_ENDPOINT, TokenFault

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from local.entra.client_auth import ClientAuthenticator
    from local.entra.grants import Grants
    from local.entra.state import State
    from local.entra.tenants import Tenants

_NOT_STORED = {"Cache-Control": "no-store, no-cache", "Pragma": "no-cache"}


class TokenEndpoint:
    """POST /{tenant}/oauth2/v2.0/token."""

    def __init__(
        self, *, authority: str, tenants: Tenants, authenticator: ClientAuthenticator, grants: Grants, state: State
    ) -> None:
        self._authority = authority
        self._tenants = tenants
        self._authenticator = authenticator
        self._grants = grants
        self._state = state

    def routes(self) -> list[Route]:
        return [Route("/{tenant}/oauth2/v2.0/token", self.post, methods=["POST"])]

    async def post(self, request: Request) -> JSONResponse:
        async with request.form() as data:
            form = {name: value for name, value in data.items() if isinstance(value, str)}
        correlation = request.headers.get("client-request-id") or form.get("client-request-id")
        trace = RequestIds.new(correlation_id=correlation)
        headers = {**_NOT_STORED, "x-ms-request-id": trace.trace_id, "client-request-id": trace.correlation_id}
        try:
            tenant = self._tenants.resolve(request.path_params["tenant"])
            self._fail_if_asked(form)
            secretless = self._authenticator.authenticate(form, authorization=request.headers.get("authorization"))
            answer = self._grants.answer(form, tenant=tenant, secretless=secretless)
        except EntraError as error:
            document = error_document(error, authority=self._authority, trace=trace)
            return JSONResponse(document, status_code=error.status, headers={**headers, **error.headers})
        return JSONResponse(answer, headers=headers)

    def _fail_if_asked(self, form: Mapping[str, str]) -> None:
        fault = self._state.take_fault(TokenFault, api=TOKEN_ENDPOINT, grant_type=form.get("grant_type", ""))
        if fault is None:
            return
        error = EntraError(fault.code, client=form.get("client_id", ""))
        error.status = fault.status or error.status
        error.error = fault.error or error.error
        error.headers = fault.headers
        raise error
