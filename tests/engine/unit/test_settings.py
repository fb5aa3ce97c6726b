"""Settings: what is accepted, what is refused, and that every fault is named at once without a value."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError

from entra_mcp.errors import SettingsError
from entra_mcp.settings import AuthMode, Settings
from tests.support.settings import CLIENT, TENANT

if TYPE_CHECKING:
    from collections.abc import Callable

    Load = Callable[..., Settings]


def test_load_working_environment_has_defaults(load_settings: Load) -> None:
    settings = load_settings()
    assert settings.auth_mode is AuthMode.PROXY
    assert settings.mcp_url == "https://mcp.contoso.com/mcp"
    assert settings.tenant_id == TENANT
    assert settings.identifier_uri == f"api://{CLIENT}"
    assert settings.authority == "login.microsoftonline.com"
    assert settings.required_scopes == ("access_as_user",)
    assert "User.Read" in settings.additional_scopes
    assert settings.client_metadata_documents is True
    assert settings.create_table is False
    assert settings.upstream_token_cache_seconds == 10
    assert settings.visibility_rules is False


def test_load_hostname_of_azure_makes_https_base_url(load_settings: Load) -> None:
    settings = load_settings(MCP_BASE_URL=None, WEBSITE_HOSTNAME="func-x1.northeurope-01.azurewebsites.net")
    assert settings.base_url == "https://func-x1.northeurope-01.azurewebsites.net"


def test_load_hostname_of_core_tools_makes_http_base_url(load_settings: Load) -> None:
    assert load_settings(MCP_BASE_URL=None, WEBSITE_HOSTNAME="localhost:7071").base_url == "http://localhost:7071"


def test_load_base_url_wins_over_hostname(load_settings: Load) -> None:
    settings = load_settings(WEBSITE_HOSTNAME="func-x1.azurewebsites.net")
    assert settings.base_url == "https://mcp.contoso.com"


@pytest.mark.parametrize(
    ("name", "value", "field", "expected"),
    [
        ("MCP_BASE_URL", "https://mcp.contoso.com/", "base_url", "https://mcp.contoso.com"),
        ("MCP_BASE_URL", "http://localhost:7071", "base_url", "http://localhost:7071"),
        ("MCP_BASE_URL", "http://[::1]:7071", "base_url", "http://[::1]:7071"),
        ("ENTRA_TENANT_ID", "organizations", "tenant_id", "organizations"),
        ("ENTRA_TENANT_ID", "consumers", "tenant_id", "consumers"),
        ("ENTRA_TENANT_ID", TENANT.upper(), "tenant_id", TENANT),
        ("ENTRA_AUTHORITY", "login.microsoftonline.us", "authority", "login.microsoftonline.us"),
        ("ENTRA_AUTHORITY", "login.partner.microsoftonline.cn", "authority", "login.partner.microsoftonline.cn"),
        ("ENTRA_AUTHORITY", "127.0.0.1:7443", "authority", "127.0.0.1:7443"),
        ("ENTRA_IDENTIFIER_URI", "api://contoso.com/mcp", "identifier_uri", "api://contoso.com/mcp"),
        ("ENTRA_REQUIRED_SCOPES", "read, write", "required_scopes", ("read", "write")),
        ("ENTRA_OPTIONAL_SCOPES", "Orders.Approve", "optional_scopes", ("Orders.Approve",)),
        ("ENTRA_ADDITIONAL_SCOPES", "User.Read\n Mail.Read", "additional_scopes", ("User.Read", "Mail.Read")),
        ("ENTRA_ADDITIONAL_SCOPES", "", "additional_scopes", ("openid", "profile", "offline_access", "User.Read")),
        ("GRAPH_BASE_URL", "https://graph.microsoft.us/", "graph_base_url", "https://graph.microsoft.us"),
        ("MCP_CLIENT_METADATA_DOCUMENTS", "true", "client_metadata_documents", True),
        ("MCP_ALLOWED_HOSTS", "proxy.contoso.com, a-1", "allowed_hosts", ("proxy.contoso.com", "a-1")),
        ("MCP_ALLOWED_ORIGINS", "https://Chat.contoso.com/", "allowed_origins", ("https://chat.contoso.com",)),
        (
            "MCP_ALLOWED_ORIGINS",
            "vscode-webview://0A1b app://obsidian.md tauri://localhost chrome-extension://abcdef",
            "allowed_origins",
            ("vscode-webview://0a1b", "app://obsidian.md", "tauri://localhost", "chrome-extension://abcdef"),
        ),
        (
            "MCP_ALLOWED_ORIGINS",
            "app://- app://. http://tauri.localhost vscode-webview://",
            "allowed_origins",
            ("app://-", "app://.", "http://tauri.localhost", "vscode-webview://"),
        ),
        ("MCP_ALLOWED_ORIGINS", "http://localhost:6274", "allowed_origins", ("http://localhost:6274",)),
        ("MCP_CLIENT_ADDRESS_HEADER", "X-Azure-ClientIP", "client_address_header", "X-Azure-ClientIP"),
        ("MCP_OAUTH_BODY_LIMIT", "4096", "oauth_body_limit", 4096),
        ("MCP_BODY_LIMIT", "4194304", "mcp_body_limit", 4194304),
        ("MCP_MESSAGE_VALUES_LIMIT", "1000000", "message_values_limit", 1_000_000),
        ("MCP_CALLS_PER_MINUTE", "1", "calls_per_minute", 1),
        ("MCP_REGISTRATIONS_PER_MINUTE", "1", "registrations_per_minute", 1),
        (
            "MCP_ALLOWED_REDIRECT_URIS",
            "com.example.app:/cb",
            "allowed_redirect_uris",
            ("com.example.app:/cb",),
        ),
        ("MCP_ALLOWED_REDIRECT_URIS", "http://localhost:*", "allowed_redirect_uris", ("http://localhost:*",)),
        (
            "MCP_ALLOWED_REDIRECT_URIS",
            "defaults https://x.com/cb",
            "allowed_redirect_uris",
            ("defaults", "https://x.com/cb"),
        ),
        (
            "MCP_ALLOWED_REDIRECT_URIS",
            "defaults copilot-studio n8n@n8n.contoso.com",
            "allowed_redirect_uris",
            ("defaults", "copilot-studio", "n8n@n8n.contoso.com"),
        ),
    ],
)
def test_load_accepted_value(load_settings: Load, name: str, value: str, field: str, expected: object) -> None:
    assert getattr(load_settings(**{name: value}), field) == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AUTH_MODE", "off"),
        ("MCP_BASE_URL", "http://mcp.contoso.com"),
        ("MCP_BASE_URL", "https://mcp.contoso.com/mcp"),
        ("MCP_BASE_URL", "https://mcp.contoso.com?x=1"),
        ("MCP_BASE_URL", "https://user@mcp.contoso.com"),
        ("MCP_BASE_URL", "mcp.contoso.com"),
        ("MCP_BASE_URL", "ftp://mcp.contoso.com"),
        ("MCP_BASE_URL", "http://localhost.contoso.com:7071"),
        ("MCP_SERVER_NAME", "n" * 65),
        ("MCP_ALLOWED_HOSTS", "*"),
        ("MCP_ALLOWED_HOSTS", "*.contoso.com"),
        ("MCP_ALLOWED_HOSTS", "https://contoso.com"),
        ("MCP_ALLOWED_HOSTS", "contoso.com:8080"),
        ("MCP_ALLOWED_HOSTS", "contoso.com/path"),
        ("MCP_ALLOWED_ORIGINS", "*"),
        ("MCP_ALLOWED_ORIGINS", "https://*.contoso.com"),
        ("MCP_ALLOWED_ORIGINS", "vscode-webview://*"),
        ("MCP_ALLOWED_ORIGINS", "tauri://"),
        ("MCP_ALLOWED_ORIGINS", "app://"),
        ("MCP_ALLOWED_ORIGINS", "app://--"),
        ("MCP_ALLOWED_ORIGINS", "http://tauri.localhost.evil.example"),
        ("MCP_ALLOWED_ORIGINS", "app://obsidian.md/path"),
        ("MCP_ALLOWED_ORIGINS", "file://"),
        ("MCP_ALLOWED_ORIGINS", "javascript://x"),
        ("MCP_ALLOWED_ORIGINS", "null"),
        ("MCP_ALLOWED_ORIGINS", "chat.contoso.com"),
        ("MCP_ALLOWED_ORIGINS", "http://chat.contoso.com"),
        ("MCP_ALLOWED_ORIGINS", "https://chat.contoso.com/path"),
        ("MCP_ALLOWED_ORIGINS", "https://chat.contoso.com:443"),
        ("MCP_ALLOWED_ORIGINS", "https://chat.contoso.com:99999"),
        ("MCP_ALLOWED_ORIGINS", "https://bücher.example"),
        ("MCP_BASE_URL", "https://mcp.contoso.com:443"),
        ("MCP_BASE_URL", "https://mcp.contoso.com:port"),
        ("MCP_CLIENT_ADDRESS_HEADER", "X Forwarded"),
        ("MCP_CLIENT_ADDRESS_HEADER", "X:Forwarded"),
        ("MCP_OAUTH_BODY_LIMIT", "4095"),
        ("MCP_OAUTH_BODY_LIMIT", "64K"),
        ("MCP_BODY_LIMIT", "4194305"),
        ("MCP_MESSAGE_VALUES_LIMIT", "999"),
        ("MCP_CALLS_PER_MINUTE", "0"),
        ("MCP_REGISTRATIONS_PER_MINUTE", "0"),
        ("MCP_REGISTRATIONS_PER_MINUTE_OVERALL", "-1"),
        ("ENTRA_TENANT_ID", None),
        ("ENTRA_TENANT_ID", "common"),
        ("ENTRA_TENANT_ID", "contoso.onmicrosoft.com"),
        ("ENTRA_TENANT_ID", "<your tenant>"),
        ("ENTRA_CLIENT_ID", None),
        ("ENTRA_CLIENT_ID", "my-app"),
        ("ENTRA_ALLOWED_TENANTS", TENANT),
        ("ENTRA_AUTHORITY", "https://login.microsoftonline.com"),
        ("ENTRA_AUTHORITY", "login.microsoftonline.com/common"),
        ("ENTRA_AUTHORITY", "user@login.microsoftonline.com"),
        ("ENTRA_AUTHORITY", "login.microsoftonline.com:port"),
        ("ENTRA_AUTHORITY", "login microsoftonline"),
        ("ENTRA_AUTHORIZATION_ENDPOINT", "http://login.contoso.com/authorize"),
        ("ENTRA_IDENTIFIER_URI", "api://contoso.com/mcp/"),
        ("ENTRA_IDENTIFIER_URI", "contoso"),
        ("ENTRA_IDENTIFIER_URI", "api:// contoso"),
        ("ENTRA_IDENTIFIER_URI", "api://contoso two"),
        ("ENTRA_REQUIRED_SCOPES", "openid"),
        ("ENTRA_REQUIRED_SCOPES", "api://contoso.com/read"),
        ("ENTRA_REQUIRED_SCOPES", " , "),
        ("ENTRA_OPTIONAL_SCOPES", "offline_access"),
        ("ENTRA_OPTIONAL_SCOPES", 'a"b'),
        ("MCP_ALLOWED_REDIRECT_URIS", "*"),
        ("MCP_ALLOWED_REDIRECT_URIS", "https://*"),
        ("MCP_ALLOWED_REDIRECT_URIS", "https://*/callback"),
        ("MCP_ALLOWED_REDIRECT_URIS", "http://mcp.contoso.com/callback"),
        ("MCP_ALLOWED_REDIRECT_URIS", "https://*.com/callback"),
        ("MCP_ALLOWED_REDIRECT_URIS", "https://agent.contoso.com:99999/callback"),
        ("MCP_ALLOWED_REDIRECT_URIS", "https://agent.contoso.com:port/callback"),
        ("MCP_ALLOWED_REDIRECT_URIS", "http://localhost:99999/callback"),
        ("MCP_ALLOWED_REDIRECT_URIS", "http://localhost:80*/callback"),
        ("MCP_ALLOWED_REDIRECT_URIS", "https://agent.contoso.com:*5/callback"),
        ("MCP_ALLOWED_REDIRECT_URIS", "https://agent.contoso.com:0/callback"),
        ("MCP_ALLOWED_REDIRECT_URIS", "https://agent.contoso.com:/callback"),
        ("MCP_ALLOWED_REDIRECT_URIS", "https://agent.contoso.com/a%2Fb/callback"),
        ("MCP_ALLOWED_REDIRECT_URIS", "https://agent.contoso.com/a%00b/callback"),
        ("MCP_ALLOWED_REDIRECT_URIS", "app://agent/a\\b"),
        ("MCP_ALLOWED_REDIRECT_URIS", "https://agent.contoso.com:443/callback"),
        ("MCP_ALLOWED_REDIRECT_URIS", "https://agent.contoso.com/../callback"),
        ("MCP_ALLOWED_REDIRECT_URIS", "librechat@https://chat.contoso.com"),
        ("MCP_ALLOWED_REDIRECT_URIS", "librechat@chat.contoso.com/"),
        ("MCP_ALLOWED_REDIRECT_URIS", "librechat@chat.contoso.com:443"),
        ("MCP_ALLOWED_REDIRECT_URIS", "https://agent.contoso.com"),
        ("MCP_ALLOWED_REDIRECT_URIS", "https://agent.contoso.com/"),
        ("MCP_ALLOWED_REDIRECT_URIS", "https://agent.contoso.com/*"),
        ("MCP_ALLOWED_REDIRECT_URIS", "https://agent.contoso.com/callback#x"),
        ("MCP_ALLOWED_REDIRECT_URIS", "https://user@agent.contoso.com/callback"),
        ("MCP_ALLOWED_REDIRECT_URIS", "callback"),
        ("MCP_ALLOWED_REDIRECT_URIS", "copilot"),
        ("MCP_ALLOWED_REDIRECT_URIS", "claude@contoso.com"),
        ("MCP_ALLOWED_REDIRECT_URIS", "n8n@*.contoso.com"),
        ("MCP_ALLOWED_REDIRECT_URIS", "n8n@contoso.com@evil.example"),
        ("MCP_ALLOWED_REDIRECT_URIS", "myapp:/callback"),
        ("MCP_ALLOWED_REDIRECT_URIS", "myapp://host/*"),
        ("MCP_ALLOWED_REDIRECT_URIS", "https://agent.contoso.com/callback?*"),
        ("MCP_ALLOWED_REDIRECT_URIS", "https://agent.contoso.com/callback?a*=1"),
        ("MCP_ALLOWED_REDIRECT_URIS", "https://agent.contoso.com/callback?a=1*"),
        ("MCP_ALLOWED_REDIRECT_URIS", "https://agent.contoso.com?a=1"),
        ("MCP_CLIENT_METADATA_DOCUMENTS", "perhaps"),
        ("GRAPH_BASE_URL", "http://graph.contoso.com"),
        ("GRAPH_BASE_URL", "https://graph.microsoft.com/v1.0"),
        ("GRAPH_BASE_URL", "https://graph.microsoft.com/?x=1"),
        ("KEY_VAULT_URL", None),
        ("KEY_VAULT_URL", "http://127.0.0.1:7444"),
        ("KEY_VAULT_URL", "https://contoso.vault.azure.net/secrets/jwt-signing-key"),
        ("KEY_VAULT_URL", "@Microsoft.KeyVault(VaultName=contoso;SecretName=x)"),
        ("MCP_TABLE_NAME", "oauth-state"),
        ("MCP_UPSTREAM_TOKEN_CACHE_SECONDS", "-1"),
        ("MCP_UPSTREAM_TOKEN_CACHE_SECONDS", "301"),
        ("MCP_UPSTREAM_TOKEN_CACHE_SECONDS", "a minute"),
        ("MCP_UPSTREAM_TOKEN_CACHE_SECONDS", "inf"),
        ("MCP_UPSTREAM_TOKEN_CACHE_SECONDS", "nan"),
        ("AzureWebJobsStorage", "@Microsoft.KeyVault(SecretUri=https://contoso.vault.azure.net/secrets/x)"),
        ("AzureWebJobsStorage__tableServiceUri", "http://contoso.table.core.windows.net"),
    ],
)
def test_load_refused_value_names_the_setting(load_settings: Load, name: str, value: str | None) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(**{name: value})
    assert [fault.setting for fault in caught.value.faults] == [name]


def test_load_many_faults_names_all_at_once_and_no_value(load_settings: Load) -> None:
    values = {
        "AUTH_MODE": "hunter2-mode",
        "MCP_BASE_URL": "http://hunter2.contoso.com",
        "ENTRA_TENANT_ID": "hunter2-tenant",
        "ENTRA_CLIENT_ID": "hunter2-client",
        "ENTRA_AUTHORITY": "https://hunter2",
        "ENTRA_REQUIRED_SCOPES": "hunter2/read",
        "GRAPH_BASE_URL": "hunter2",
        "KEY_VAULT_URL": "hunter2",
        "MCP_TABLE_NAME": "hunter2-table",
        "MCP_CREATE_TABLE": "hunter2",
        "AzureWebJobsStorage": "@Microsoft.KeyVault(hunter2)",
    }
    with pytest.raises(SettingsError) as caught:
        load_settings(**values)
    assert {fault.setting for fault in caught.value.faults} == set(values)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("value", [None, "garbage", "AccountName=a", "DefaultEndpointsProtocol=https"])
def test_load_connection_string_that_is_none_names_the_setting(load_settings: Load, value: str | None) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(AzureWebJobsStorage__tableServiceUri=None, AzureWebJobsStorage=value)
    assert [fault.setting for fault in caught.value.faults] == ["AzureWebJobsStorage"]


def test_load_empty_environment_names_what_has_no_default(load_settings: Load) -> None:
    nothing: dict[str, None] = dict.fromkeys(
        ("MCP_BASE_URL", "ENTRA_TENANT_ID", "ENTRA_CLIENT_ID", "KEY_VAULT_URL", "AzureWebJobsStorage__tableServiceUri")
    )
    with pytest.raises(SettingsError) as caught:
        load_settings(**nothing)
    assert {fault.setting for fault in caught.value.faults} == {
        "MCP_BASE_URL",
        "ENTRA_TENANT_ID",
        "ENTRA_CLIENT_ID",
        "KEY_VAULT_URL",
        "AzureWebJobsStorage",
    }


def test_load_tenant_list_with_organizations(load_settings: Load) -> None:
    settings = load_settings(ENTRA_TENANT_ID="organizations", ENTRA_ALLOWED_TENANTS=f"{TENANT.upper()} {CLIENT}")
    assert settings.allowed_tenants == (TENANT, CLIENT)


def test_settings_are_frozen(load_settings: Load) -> None:
    settings = load_settings()
    with pytest.raises(ValidationError):
        settings.base_url = "https://evil.example"  # pyright: ignore[reportAttributeAccessIssue] - that is the test


def test_connection_string_is_not_in_the_representation(load_settings: Load) -> None:
    settings = load_settings(AzureWebJobsStorage="AccountName=a;AccountKey=hunter2==")
    assert "hunter2" not in repr(settings)
    assert "hunter2" not in str(settings.model_dump())
