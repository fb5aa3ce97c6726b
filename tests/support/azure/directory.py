"""Microsoft Graph v1.0, as far as `ops` uses it, and Entra ID's token endpoint."""

from __future__ import annotations

import copy
import uuid
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local.entra.errors import EntraError, RequestIds, error_document
from tests.support.azure.world import CLIENT_ID, TENANT, World, page, stamp

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.requests import Request


class GraphError(Exception):
    """An answer in Graph's form."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        inner = {"date": "2026-01-01T00:00:00", "request-id": str(uuid.uuid4())}
        self.response = JSONResponse(
            {"error": {"code": code, "message": message, "innerError": inner}}, status_code=status
        )


class GraphStandIn:
    """Routes under /graph/v1.0, and the token endpoint."""

    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> list[Route]:
        base = "/graph/v1.0"
        return [
            Route(f"{base}/applications/{{id}}", self.application, methods=["GET", "DELETE", "PATCH"]),
            Route(f"{base}/applications({{key}}='{{value}}')", self.application_by_key, methods=["GET", "PATCH"]),
            Route(f"{base}/applications/{{id}}/addPassword", self.add_password, methods=["POST"]),
            Route(f"{base}/applications/{{id}}/removePassword", self.remove_password, methods=["POST"]),
            Route(f"{base}/applications/{{id}}/federatedIdentityCredentials", self.federated_credentials),
            Route(f"{base}/applications/{{id}}/appManagementPolicies", self.own_management_policies),
            Route(f"{base}/directory/deletedItems/microsoft.graph.application", self.deleted),
            Route(f"{base}/directory/deletedItems/{{id}}", self.purge, methods=["DELETE"]),
            Route(f"{base}/directory/deletedItems/{{id}}/restore", self.restore, methods=["POST"]),
            Route(f"{base}/servicePrincipals(appId='{{value}}')", self.principal),
            Route(f"{base}/servicePrincipals", self.add_principal, methods=["POST"]),
            Route(f"{base}/servicePrincipals", self.principals_by_name),
            Route(f"{base}/servicePrincipals/{{id}}/oauth2PermissionGrants", self.grants),
            Route(f"{base}/oauth2PermissionGrants", self.add_grant, methods=["POST"]),
            Route(f"{base}/oauth2PermissionGrants/{{id}}", self.change_grant, methods=["PATCH"]),
            Route(f"{base}/me/transitiveMemberOf", self.memberships),
            Route(f"{base}/policies/authorizationPolicy", self.authorization_policy),
            Route(f"{base}/policies/defaultAppManagementPolicy", self.management_policy),
            Route(f"{base}/identity/conditionalAccess/policies", self.access_policies),
            Route(f"{base}/organization", self.organization),
            Route("/{tenant}/oauth2/v2.0/token", self.token, methods=["POST"]),
        ]

    async def application(self, request: Request) -> Response:
        found = self._known(request.path_params["id"])
        if request.method == "DELETE":
            self._world.deleted_applications[found["id"]] = self._world.applications.pop(found["id"])
            return Response(status_code=204)
        if request.method == "PATCH":
            _merge(found, await request.json())
            return Response(status_code=204)
        if self._world.stale_reads and found["id"] in self._world.stale:
            self._world.stale_reads -= 1
            found = self._world.stale[found["id"]]
        return JSONResponse(_selected(found, request))

    async def application_by_key(self, request: Request) -> Response:
        key, value = request.path_params["key"], request.path_params["value"]
        found = [document for document in self._world.applications.values() if document.get(key) == value]
        if request.method == "PATCH":
            return self._upserted(found, value, request.headers.get("prefer"), await request.json())
        if not found:
            raise _missing(value)
        return JSONResponse(_selected(found[0], request))

    def _upserted(self, found: list[dict[str, Any]], name: str, prefer: str | None, body: dict[str, Any]) -> Response:
        if found:
            _merge(found[0], body)
            return Response(status_code=204)
        if prefer != "create-if-missing":
            raise _missing(name)
        identifiers = {"id": str(uuid.uuid4()), "appId": str(uuid.uuid4()), "uniqueName": name}
        made: dict[str, Any] = {**identifiers, "createdDateTime": stamp(self._world.now()), **body}
        self._world.applications[identifiers["id"]] = {"passwordCredentials": [], **made}
        return JSONResponse(made, status_code=201)

    async def add_principal(self, request: Request) -> Response:
        client_id = (await request.json())["appId"]
        if client_id not in {one["appId"] for one in self._world.applications.values()}:
            raise GraphError(
                400, "Request_BadRequest", "The appId of the service principal does not reference a valid application."
            )
        self._world.principals[client_id] = {"id": str(uuid.uuid4()), "accountEnabled": True}
        return JSONResponse(self._world.principals[client_id], status_code=201)

    async def add_password(self, request: Request) -> Response:
        found = self._known(request.path_params["id"])
        asked = (await request.json())["passwordCredential"]
        ends = datetime.fromisoformat(asked["endDateTime"])
        if not self._world.passwords_allowed:
            raise GraphError(
                400, "CredentialTypeNotAllowedAsPerAppPolicy", "Credential type not allowed as per assigned policy 'p'."
            )
        limit = self._world.max_lifetime
        if limit is not None and ends - self._world.now() > limit + timedelta(minutes=5):
            raise GraphError(
                400,
                "CredentialInvalidLifetimeAsPerAppPolicy",
                "Credential lifetime exceeds the max value allowed as per assigned policy 'p'.",
            )
        key_id, value = str(uuid.uuid4()), f"8Q~{uuid.uuid4().hex}{uuid.uuid4().hex[:5]}"
        self._world.stale[found["id"]] = copy.deepcopy(found)
        entry = {
            "keyId": key_id,
            "displayName": asked.get("displayName"),
            "startDateTime": stamp(self._world.now()),
            "endDateTime": stamp(ends),
            "hint": value[:3],
        }
        found["passwordCredentials"].append(entry)
        self._world.secret_values[key_id] = value
        return JSONResponse({**entry, "secretText": value})

    async def remove_password(self, request: Request) -> Response:
        found = self._known(request.path_params["id"])
        key_id = (await request.json())["keyId"]
        kept = [entry for entry in found["passwordCredentials"] if entry["keyId"] != key_id]
        if len(kept) == len(found["passwordCredentials"]):
            raise GraphError(400, "Request_BadRequest", f"No password credential found with keyId '{key_id}'.")
        found["passwordCredentials"] = kept
        return Response(status_code=204)

    async def deleted(self, request: Request) -> Response:
        everything = [_selected(one, request) for one in self._world.deleted_applications.values()]
        return page(request, everything, size=self._world.page_size, link="@odata.nextLink")

    async def purge(self, request: Request) -> Response:
        if self._world.deleted_applications.pop(request.path_params["id"], None) is None:
            raise _missing(request.path_params["id"])
        return Response(status_code=204)

    async def restore(self, request: Request) -> Response:
        found = self._world.deleted_applications.pop(request.path_params["id"], None)
        if found is None:
            raise _missing(request.path_params["id"])
        self._world.applications[found["id"]] = found
        return JSONResponse(found)

    async def principal(self, request: Request) -> Response:
        found = self._world.principals.get(request.path_params["value"])
        if found is None:
            raise _missing(request.path_params["value"])
        return JSONResponse(_selected(found, request))

    async def principals_by_name(self, request: Request) -> Response:
        """By the client id or by one of the Application ID URIs, as Azure's CLI asks too."""
        query = request.query_params["$filter"]
        name = query.removeprefix("servicePrincipalNames/any(name:name eq '").removesuffix("')")
        assert name != query
        found = [
            _selected(one, request)
            for client_id, one in self._world.principals.items()
            if name in {client_id, *one.get("servicePrincipalNames", ())}
        ]
        return JSONResponse({"value": found})

    async def grants(self, request: Request) -> Response:
        found = [grant for grant in self._world.grants if grant["clientId"] == request.path_params["id"]]
        return JSONResponse({"value": found})

    async def add_grant(self, request: Request) -> Response:
        asked = await request.json()
        names = ("clientId", "resourceId", "consentType")
        if any(all(grant[name] == asked[name] for name in names) for grant in self._world.grants):
            raise GraphError(409, "Request_MultipleObjectsWithSameKeyValue", "Permission entry already exists.")
        self._world.grants.append({"id": uuid.uuid4().hex, **asked})
        return JSONResponse(self._world.grants[-1], status_code=201)

    async def change_grant(self, request: Request) -> Response:
        found = [grant for grant in self._world.grants if grant["id"] == request.path_params["id"]]
        if not found:
            raise _missing(request.path_params["id"])
        found[0]["scope"] = (await request.json())["scope"]
        return Response(status_code=204)

    async def memberships(self, request: Request) -> Response:
        everything = [{"@odata.type": "#microsoft.graph.group", "displayName": name} for name in self._world.groups] + [
            {"@odata.type": "#microsoft.graph.directoryRole", "displayName": name}
            for name in self._world.directory_roles
        ]
        return page(request, everything, size=self._world.page_size, link="@odata.nextLink")

    async def authorization_policy(self, _: Request) -> Response:
        return JSONResponse({"defaultUserRolePermissions": {"allowedToCreateApps": self._world.may_create_apps}})

    async def management_policy(self, _: Request) -> Response:
        return JSONResponse(self._world.management_policy or {"isEnabled": False})

    async def own_management_policies(self, request: Request) -> Response:
        self._known(request.path_params["id"])
        return JSONResponse({"value": self._world.own_management_policies})

    async def access_policies(self, _: Request) -> Response:
        if self._world.access_policies is None:
            raise GraphError(
                403, "AccessDenied", "You cannot perform the requested operation, required scopes are missing."
            )
        return JSONResponse({"value": self._world.access_policies})

    async def federated_credentials(self, request: Request) -> Response:
        self._known(request.path_params["id"])
        return JSONResponse({"value": self._world.federated_credentials})

    async def organization(self, _: Request) -> Response:
        return JSONResponse({"value": [{"id": TENANT}]})

    async def token(self, request: Request) -> Response:
        async with request.form() as data:
            form = {name: str(value) for name, value in data.items()}
        known = next((one for one in self._world.applications.values() if one["appId"] == form["client_id"]), None)
        error: EntraError | None = None
        if known is None:
            error = EntraError(700016, client=form["client_id"], tenant=request.path_params["tenant"])
        else:
            values = {self._world.secret_values.get(entry["keyId"]) for entry in known["passwordCredentials"]}
            if self._world.unaccepted or form["client_secret"] not in values:
                self._world.unaccepted = max(0, self._world.unaccepted - 1)
                error = EntraError(7000215, client=CLIENT_ID)
        if error is not None:
            document = error_document(error, authority="127.0.0.1", trace=RequestIds.new())
            return JSONResponse(document, status_code=error.status)
        return JSONResponse({"token_type": "Bearer", "expires_in": 3599, "access_token": "a.token.of-no-interest"})

    def _known(self, object_id: str) -> dict[str, Any]:
        if self._world.unknown_reads:
            self._world.unknown_reads -= 1
            raise _missing(object_id)
        if object_id not in self._world.applications:
            raise _missing(object_id)
        return self._world.applications[object_id]


def _missing(name: str) -> GraphError:
    return GraphError(
        404,
        "Request_ResourceNotFound",
        f"Resource '{name}' does not exist or one of its queried reference-property objects are not present.",
    )


def _selected(document: dict[str, Any], request: Request) -> dict[str, Any]:
    wanted: Iterable[str] = request.query_params.get("$select", ",".join(document)).split(",")
    return {name: document.get(name) for name in wanted}


def _merge(target: dict[str, Any], changes: dict[str, Any]) -> None:
    for name, value in changes.items():
        if isinstance(value, dict) and isinstance(target.get(name), dict):
            _merge(target[name], value)  # pyright: ignore[reportUnknownArgumentType] - any JSON
        else:
            target[name] = value
