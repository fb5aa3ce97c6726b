"""App settings: those that the server knows, as the server wants them, and nothing that it does not know."""

from __future__ import annotations

import re

import pytest

from entra_mcp.errors import SettingsError
from entra_mcp.settings import AuthMode, Settings
from local.config import REPOSITORY
from tests.infra.template import INFRA, Template, main, properties
from tests.infra.test_parameters import variables

MODULE = Template(INFRA / "modules" / "app-settings.bicep")
GUID = "0f9619ff-8b86-4d01-b42d-00cf4fc964ff"

REQUIRED_IN_AZURE = {
    "AZURE_CLIENT_ID",
    "AzureWebJobsStorage__clientId",
    "AzureWebJobsStorage__tableServiceUri",
    "ENTRA_CLIENT_ID",
    "ENTRA_TENANT_ID",
    "KEY_VAULT_URL",
    "MCP_BASE_URL",
    "MCP_TABLE_NAME",
}
"""What has no default, or one that would not lead to what the deployment made."""

VALUES = {
    "identityClientId": GUID,
    "applicationInsightsConnectionString": f"InstrumentationKey={GUID}",
    "storageName": "stabc",
    "blobEndpoint": "https://stabc.blob.core.windows.net/",
    "queueEndpoint": "https://stabc.queue.core.windows.net/",
    "tableEndpoint": "https://stabc.table.core.windows.net/",
    "tableName": "",
    "vaultUrl": "https://kv-abc.vault.azure.net",
    "authMode": "",
    "baseUrl": "https://func-abc-b8h3.northeurope-01.azurewebsites.net",
    "serverName": "",
    "allowedRedirectUris": "",
    "tenantId": GUID,
    "clientId": GUID,
    "identifierUri": f"api://{GUID}",
    "allowedTenants": "",
    "requiredScopes": "",
    "optionalScopes": "",
    "additionalScopes": "",
    "allowedAppRoles": "",
    "assertionAudience": "api://AzureADTokenExchange",
    "authorityHost": "login.microsoftonline.com",
    "graphUrl": "https://graph.microsoft.com",
}
"""What a deployment passes; where nothing stands here, the default of main.bicep's parameter of that name."""


def host_settings() -> dict[str, str]:
    found = properties(MODULE.value("var", "host") or "")
    in_public_cloud = re.search(r"\? \{ (\w+): (\w+) \} : \{\}$", MODULE.value("var", "publicCloudHost") or "")
    assert in_public_cloud is not None
    return found | {in_public_cloud[1]: in_public_cloud[2]}


def server_settings() -> dict[str, str]:
    return properties(MODULE.value("var", "server") or "")


def deployed_environment(**changes: str) -> dict[str, str]:
    """The variables that the app would run with."""
    defaults = {name: default or "" for name, (_, default) in variables().items()}
    defaults["tableName"] = (main().value("var", "tableName") or "").strip("'")
    values = {name: given or defaults[name] for name, given in VALUES.items()} | changes

    def evaluated(expression: str) -> str:
        if expression.startswith("'"):
            return re.sub(r"\$\{(\w+)\}", lambda match: values[match[1]], expression.strip("'"))
        return values[expression]

    return {name: evaluated(value) for name, value in (host_settings() | server_settings()).items()}


def test_module_takes_nothing_else() -> None:
    assert set(MODULE.of("param")) == {*VALUES, "functionAppName", "extra"}


def test_every_app_setting_of_the_server_is_a_setting() -> None:
    names = {str(field.validation_alias) for field in Settings.model_fields.values()}
    assert set(server_settings()) - names == set[str]()


def test_every_app_setting_of_the_host_is_documented() -> None:
    documented = (REPOSITORY / "docs" / "settings.md").read_text("utf-8")
    for name in host_settings():
        short = name.removeprefix("AzureWebJobsStorage")
        assert f"`{name}" in documented or (short != name and f"`{short}" in documented), name


def test_every_setting_that_azure_needs_is_provisioned() -> None:
    assert set(host_settings()) | set(server_settings()) >= REQUIRED_IN_AZURE
    assert {str(field.validation_alias) for field in Settings.model_fields.values()} >= REQUIRED_IN_AZURE


def test_all_are_written_in_one_go() -> None:
    """Whatever is written here replaces all settings, so that there is no second place that could lose."""
    written = MODULE.of("resource")["settings"].text
    assert "properties: union(host, publicCloudHost, server, extra)" in written
    app = Template(INFRA / "modules" / "function-app.bicep").source
    assert "appSettings" not in app


@pytest.fixture
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for field in Settings.model_fields.values():
        monkeypatch.delenv(str(field.validation_alias), raising=False)
    return monkeypatch


@pytest.mark.parametrize("mode", list(AuthMode))
@pytest.mark.parametrize("tenant", [GUID, "organizations", "consumers"])
def test_server_starts_with_what_is_provisioned(nothing_set: pytest.MonkeyPatch, mode: AuthMode, tenant: str) -> None:
    for name, value in deployed_environment(authMode=mode.value, tenantId=tenant).items():
        nothing_set.setenv(name, value)
    settings = Settings.load()
    assert settings.auth_mode is mode
    assert settings.base_url == VALUES["baseUrl"]
    assert settings.tenant_id == tenant
    assert settings.storage_client_id == settings.identity_client_id == GUID
    assert settings.table_name == "McpOAuthState"
    assert settings.required_scopes == ("access_as_user",)


@pytest.mark.parametrize("missing", ["ENTRA_CLIENT_ID", "ENTRA_TENANT_ID", "KEY_VAULT_URL", "MCP_BASE_URL"])
def test_server_would_not_start_without_one_of_them(nothing_set: pytest.MonkeyPatch, missing: str) -> None:
    for name, value in deployed_environment().items():
        nothing_set.setenv(name, value)
    nothing_set.delenv(missing)
    with pytest.raises(SettingsError):
        Settings.load()


def test_every_mode_of_the_server_can_be_deployed() -> None:
    allowed = re.search(r"@allowed\(\[(.*?)\]\)", main().of("param")["authMode"].decorators, re.DOTALL)
    assert allowed is not None
    assert {mode.value for mode in AuthMode} <= set(re.findall(r"'(\w+)'", allowed[1]))


def test_table_of_the_deployment_is_the_one_that_the_server_uses_by_default() -> None:
    assert main().value("var", "tableName") == f"'{Settings.model_fields['table_name'].default}'"
    assert main().params_given("storage") >= {"tableName"}


def test_defaults_of_parameters_are_those_of_the_settings() -> None:
    for parameter, field in {
        "serverName": "server_name",
        "requiredScopes": "required_scopes",
        "optionalScopes": "optional_scopes",
        "additionalScopes": "additional_scopes",
        "allowedRedirectUris": "allowed_redirect_uris",
        "authMode": "auth_mode",
    }.items():
        default: str | tuple[str, ...] = Settings.model_fields[field].default
        assert variables()[parameter][1] == (default if isinstance(default, str) else " ".join(default))
