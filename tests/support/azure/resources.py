"""Azure Resource Manager and the vault's own API, as far as `ops` uses them."""

from __future__ import annotations

from itertools import compress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.support.azure.world import GROUP_ID, SITE_ID, SUBSCRIPTION, VAULT, VAULT_ID, SecretVersion, World, page

if TYPE_CHECKING:
    from starlette.requests import Request

VAULTS = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{{group}}/providers/Microsoft.KeyVault/vaults"

MANAGEMENT_GROUPS = "/providers/microsoft.management/managementgroups/"

PAGE = 2
"""Members of a page: so small that every list has several."""


class ArmError(Exception):
    """An answer in the form of Azure Resource Manager and of Key Vault."""

    def __init__(self, status: int, code: str, message: str, *, inner: str = "") -> None:
        super().__init__(message)
        error: dict[str, Any] = {"code": code, "message": message}
        if inner:
            error["innererror"] = {"code": inner}
        self.response = JSONResponse({"error": error}, status_code=status)


class ArmStandIn:
    """Routes under /arm, and those of the vault itself under /secrets."""

    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> list[Route]:
        subscription = f"/arm/subscriptions/{SUBSCRIPTION}"
        keyvault = f"{subscription}/providers/Microsoft.KeyVault"
        return [
            Route(f"/arm{VAULTS}/{{vault}}/secrets/{{name}}", self.secret, methods=["GET", "PUT"]),
            Route(f"{keyvault}/vaults", self.vaults),
            Route(f"{keyvault}/deletedVaults", self.deleted_vaults),
            Route(
                f"{keyvault}/locations/{{location}}/deletedVaults/{{name}}/purge", self.purge_vault, methods=["POST"]
            ),
            Route(f"{subscription}/providers/Microsoft.Web/geoRegions", self.regions),
            Route("/arm/{id:path}/providers/Microsoft.Authorization/permissions", self.permissions),
            Route("/arm/{scope:path}/providers/Microsoft.Authorization/policyAssignments", self.policies),
            Route("/arm/{scope:path}/providers/Microsoft.Authorization/policyExemptions", self.policies),
            Route(f"{subscription}/providers/Microsoft.Resources/deployments", self.deployments),
            Route(f"{subscription}/providers/{{namespace}}", self.provider),
            Route(f"/arm{GROUP_ID}/providers/Microsoft.Authorization/roleAssignments", self.role_assignments),
            Route(f"{subscription}/resourceGroups/{{group}}/resources", self.group_resources),
            Route(f"/arm{SITE_ID}/config/appsettings/list", self.app_settings, methods=["POST"]),
            Route(f"/arm{SITE_ID}/functions", self.functions),
            Route("/arm/{id:path}", self.resource, methods=["GET", "PUT", "DELETE"]),
            Route("/secrets/{name}/versions", self.versions),
            Route("/secrets/{name}/{version}", self.update_version, methods=["PATCH"]),
            Route("/logs/v1/{id:path}/query", self.query, methods=["POST"]),
        ]

    async def resource(self, request: Request) -> Response:
        name = f"/{request.path_params['id']}"
        if request.method == "PUT":
            return self._put(name, await request.json())
        found = self._world.resources.get(name.lower())
        if found is None:
            parts = name.lower().split("/")
            if parts[1] == "subscriptions" and parts[2] != SUBSCRIPTION:
                raise ArmError(404, "SubscriptionNotFound", f"The subscription '{parts[2]}' could not be found.")
            if "resourcegroups" in parts and "/".join(parts[:5]) not in self._world.resources:
                raise ArmError(404, "ResourceGroupNotFound", "Resource group could not be found.")
            raise ArmError(404, "ResourceNotFound", f"The Resource '{name}' was not found.")
        if request.method == "DELETE":
            return self._delete(name, found)
        return JSONResponse(found)

    def _put(self, name: str, body: dict[str, Any]) -> Response:
        group, _, rest = name.partition("/providers/")
        if rest and group.lower() not in self._world.resources:
            raise ArmError(404, "ResourceGroupNotFound", "Resource group could not be found.")
        if name.rsplit("/", 1)[-1] in self._world.deleted_vaults:
            raise ArmError(409, "ConflictError", "A vault with the same name already exists in deleted state.")
        kind = "/".join(rest.split("/")[:2]) if rest else "Microsoft.Resources/resourceGroups"
        if "/Microsoft.Authorization/roleAssignments/" in name:
            self._world.role_assignments.append(body)
            return JSONResponse(body, status_code=201)
        self._world.resources[name.lower()] = {"id": name, "type": kind, **body}
        return JSONResponse(self._world.resources[name.lower()], status_code=201)

    def _delete(self, name: str, found: dict[str, Any]) -> Response:
        """A group goes with all that it holds; a vault can be recovered for a while."""
        for identifier in [one for one in self._world.resources if f"{one}/".startswith(f"{name.lower()}/")]:
            del self._world.resources[identifier]
        if "/vaults/" in name:
            vault = name.rsplit("/", 1)[-1]
            properties: dict[str, Any] = {"location": found["location"], "vaultId": name}
            self._world.deleted_vaults[vault] = {"name": vault, "properties": properties}
        return Response(status_code=200)

    async def secret(self, request: Request) -> Response:
        name, vault = request.path_params["name"], request.path_params["vault"]
        identifier = f"{VAULTS}/{vault}".format(**request.path_params)
        if identifier.lower() not in self._world.resources:
            raise ArmError(404, "ResourceNotFound", f"The Resource '{identifier}' was not found.")
        if vault != VAULT:
            name = f"{vault}/{name}"
        if request.method == "PUT":
            await self.put_secret(name, await request.json())
        versions = self._world.secrets.get(name)
        if not versions or name in self._world.deleted_secrets:
            raise ArmError(404, "SecretNotFound", f"Secret not found: {name}.")
        return JSONResponse(self._described(name, versions[-1], request))

    async def put_secret(self, name: str, body: dict[str, Any]) -> None:
        if name in self._world.deleted_secrets:
            raise ArmError(409, "Conflict", f"Secret {name} is currently in a deleted but recoverable state.")
        properties, now = body["properties"], int(self._world.now().timestamp())
        version = SecretVersion(
            value=properties["value"],
            created=now,
            updated=now,
            tags=body.get("tags") or {},
            content_type=properties.get("contentType", ""),
            enabled=properties["attributes"]["enabled"],
            expires=properties["attributes"].get("exp"),
        )
        self._world.secrets.setdefault(name, []).append(version)

    async def vaults(self, request: Request) -> Response:
        self._check_registered("Microsoft.KeyVault")
        found = [one["id"] for one in self._world.resources.values() if "/vaults/" in one.get("id", "")]
        return _listed(request, [{"id": identifier, "name": identifier.rsplit("/", 1)[-1]} for identifier in found])

    async def deleted_vaults(self, request: Request) -> Response:
        self._check_registered("Microsoft.KeyVault")
        return _listed(request, list(self._world.deleted_vaults.values()))

    async def purge_vault(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in self._world.deleted_vaults:
            raise ArmError(404, "DeletedVaultNotFound", f"The deleted vault {name} was not found.")
        if self._world.deleted_vaults[name]["properties"].get("purgeProtectionEnabled"):
            raise ArmError(405, "MethodNotAllowed", "Operation 'DeletedVaultPurge' is not allowed.")
        del self._world.deleted_vaults[name]
        return Response(status_code=202, headers={"Location": "https://management.azure.com/operations/1"})

    def _check_registered(self, namespace: str) -> None:
        if self._world.providers.get(namespace) != "Registered":
            message = f"The subscription is not registered to use namespace '{namespace}'."
            raise ArmError(409, "MissingSubscriptionRegistration", message)

    async def regions(self, request: Request) -> Response:
        self._check_registered("Microsoft.Web")
        assert request.query_params["sku"] == "FlexConsumption"
        return _listed(request, [{"name": region} for region in self._world.regions])

    async def permissions(self, request: Request) -> Response:
        scope = f"/{request.path_params['id']}"
        return _listed(request, self._world.permissions_on.get(scope, self._world.permissions))

    async def policies(self, request: Request) -> Response:
        """Assignments or exemptions."""
        assert request.query_params["$filter"] == "atScope()", "else those of every resource group are listed too"
        scope, kind = f"/{request.path_params['scope']}/".lower(), request.url.path.rsplit("/", 1)[-1]
        if "/resourcegroups/" in scope and scope.rstrip("/") not in self._world.resources:
            raise ArmError(404, "ResourceGroupNotFound", "Resource group could not be found.")
        everything = self._world.policy_assignments if kind == "policyAssignments" else self._world.policy_exemptions
        places = [one["id"].lower().rpartition("/providers/microsoft.authorization/")[0] for one in everything]
        above = [place.startswith(MANAGEMENT_GROUPS) or scope.startswith(f"{place}/") for place in places]
        return _listed(request, list(compress(everything, above)))

    async def provider(self, request: Request) -> Response:
        namespace = request.path_params["namespace"]
        state = self._world.providers.get(namespace, "NotRegistered")
        return JSONResponse({"namespace": namespace, "registrationState": state})

    async def deployments(self, request: Request) -> Response:
        """Those of the subscription itself, where azd has some for each environment."""
        state = request.query_params["$filter"].removeprefix("provisioningState eq ").strip("'")
        found = [one for one in self._world.deployments if one["properties"]["provisioningState"] == state]
        return _listed(request, found)

    async def role_assignments(self, request: Request) -> Response:
        principal = request.query_params["$filter"].split("'")[1]
        found = [one for one in self._world.role_assignments if one["properties"]["principalId"] == principal]
        return _listed(request, found)

    async def group_resources(self, request: Request) -> Response:
        group = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{request.path_params['group']}/".lower()
        found = [one for identifier, one in self._world.resources.items() if identifier.startswith(group)]
        if "$filter" in request.query_params:
            kind = request.query_params["$filter"].split("'")[1].lower()
            found = [one for one in found if one.get("type", "").lower() == kind]
        return _listed(request, found)

    async def app_settings(self, _: Request) -> Response:
        return JSONResponse({"properties": self._world.app_settings})

    async def functions(self, request: Request) -> Response:
        return _listed(request, [{"properties": {"name": name}} for name in self._world.functions])

    async def versions(self, request: Request) -> Response:
        self._check_vault_role()
        name = request.path_params["name"]
        if name not in self._world.secrets:
            raise ArmError(404, "SecretNotFound", f"A secret with (name/id) {name} was not found in this key vault.")
        return _listed(request, [self._item(name, one, request) for one in self._world.secrets[name]])

    async def update_version(self, request: Request) -> Response:
        self._check_vault_role()
        name, version = request.path_params["name"], request.path_params["version"]
        found = next(one for one in self._world.secrets[name] if one.id == version)
        found.enabled = (await request.json())["attributes"]["enabled"]
        found.updated = int(self._world.now().timestamp())
        return JSONResponse(self._item(name, found, request))

    async def query(self, _: Request) -> Response:
        if self._world.purge_runs is None:
            raise ArmError(403, "InsufficientAccessError", "The provided credentials have insufficient access.")
        columns = [{"name": "TimeGenerated", "type": "datetime"}, {"name": "Success", "type": "bool"}]
        table = {"name": "PrimaryResult", "columns": columns, "rows": self._world.purge_runs[-1:]}
        return JSONResponse({"tables": [table]})

    def _check_vault_role(self) -> None:
        if not self._world.vault_role:
            raise ArmError(403, "Forbidden", "Caller is not authorized to perform action.", inner="ForbiddenByRbac")

    def _described(self, name: str, version: SecretVersion, request: Request) -> dict[str, Any]:
        return {
            "id": f"{VAULT_ID}/secrets/{name}",
            "name": name.rsplit("/", 1)[-1],
            "type": "Microsoft.KeyVault/vaults/secrets",
            "tags": version.tags,
            "properties": {
                "contentType": version.content_type,
                "attributes": _attributes(version),
                "secretUri": f"{_origin(request)}/secrets/{name}",
                "secretUriWithVersion": f"{_origin(request)}/secrets/{name}/{version.id}",
            },
        }

    def _item(self, name: str, version: SecretVersion, request: Request) -> dict[str, Any]:
        identifier = f"{_origin(request)}/secrets/{name}/{version.id}"
        return {"id": identifier, "attributes": _attributes(version), "tags": version.tags}


def _attributes(version: SecretVersion) -> dict[str, Any]:
    found: dict[str, Any] = {"enabled": version.enabled, "created": version.created, "updated": version.updated}
    return found if version.expires is None else {**found, "exp": version.expires}


def _origin(request: Request) -> str:
    parts = urlsplit(str(request.url))
    return f"{parts.scheme}://{parts.netloc}"


def _listed(request: Request, everything: list[dict[str, Any]]) -> Response:
    return page(request, everything, size=PAGE, link="nextLink")
