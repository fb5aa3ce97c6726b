"""The engine's settings, a group for each concern.

Each field names its environment variable, which is also the name of the app setting in Azure.
"""

from __future__ import annotations

import re

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from entra_mcp.settings.environment import EnvironmentSettings
from entra_mcp.settings.types import (
    AuthMode,
    Authority,
    ClientId,
    GraphUrl,
    HostNames,
    HttpsUrl,
    HttpsUrls,
    Origins,
    OwnScopes,
    RedirectUris,
    Tenant,
    VaultUrl,
    Words,
    guid,
)
from entra_mcp.urls import is_loopback, require_origin

KIB = 1024


class Settings(EnvironmentSettings):
    """All of them. `Settings.load()` reads the environment and reports all faults together."""

    # Where clients reach the server, and under which name.

    server_name: str = Field(default="", validation_alias="MCP_SERVER_NAME", max_length=64)
    """Shown to people in place of the app's own name; the same everywhere, for sealed request state is bound to it."""

    website_hostname: str | None = Field(default=None, validation_alias="WEBSITE_HOSTNAME")
    """Host name that Azure Functions gives the app; used when `MCP_BASE_URL` is not set."""

    base_url: str = Field(default="", validation_alias="MCP_BASE_URL")
    """Address under which clients reach this server, without a path and without a trailing slash."""

    allowed_hosts: HostNames = Field(default=(), validation_alias="MCP_ALLOWED_HOSTS")
    """Host names under which requests may come besides the base URL's and `WEBSITE_HOSTNAME`."""

    allowed_origins: Origins = Field(default=(), validation_alias="MCP_ALLOWED_ORIGINS")
    """Origins of the web pages whose scripts may call `/mcp`."""

    client_address_header: str | None = Field(
        default=None, validation_alias="MCP_CLIENT_ADDRESS_HEADER", pattern=r"^[A-Za-z][A-Za-z0-9-]{0,63}$"
    )
    """The header in which the proxy in front of the platform names the client's address, when there is one."""

    @field_validator("base_url")
    @classmethod
    def _base_url(cls, value: str, info: ValidationInfo) -> str:
        hostname = info.data.get("website_hostname")
        if not value and hostname:
            value = f"{'http' if is_loopback(f'//{hostname}') else 'https'}://{hostname}"
        if not value:
            raise ValueError("is not set, and neither is WEBSITE_HOSTNAME")
        return require_origin(value)

    @property
    def mcp_url(self) -> str:
        """The address to give to a client."""
        return f"{self.base_url}/mcp"

    # How much a client may send.

    oauth_body_limit: int = Field(default=64 * KIB, validation_alias="MCP_OAUTH_BODY_LIMIT", ge=4 * KIB, le=1024 * KIB)
    """Largest request body in bytes, everywhere but at `/mcp`."""

    mcp_body_limit: int = Field(default=512 * KIB, validation_alias="MCP_BODY_LIMIT", ge=64 * KIB, le=4096 * KIB)
    """Largest request body at `/mcp` in bytes; the MCP library takes no more than 4 MiB."""

    message_values_limit: int = Field(
        default=10_000, validation_alias="MCP_MESSAGE_VALUES_LIMIT", ge=1000, le=1_000_000
    )
    """How many JSON values a message at `/mcp` may have, whatever their kind."""

    calls_per_minute: int = Field(default=6000, validation_alias="MCP_CALLS_PER_MINUTE", ge=1, le=1_000_000)
    """How many requests one caller may make of an instance at `/mcp`."""

    registrations_per_minute: int = Field(default=60, validation_alias="MCP_REGISTRATIONS_PER_MINUTE", ge=1, le=100_000)
    """How many clients one address may register at an instance, and how many names it looks up for their documents."""

    registrations_per_minute_overall: int = Field(
        default=300, validation_alias="MCP_REGISTRATIONS_PER_MINUTE_OVERALL", ge=1, le=100_000
    )
    """How many clients may register at an instance, from wherever."""

    # The app registration, and whom it lets in.

    auth_mode: AuthMode = Field(default=AuthMode.PROXY, validation_alias="AUTH_MODE")

    tenant_id: Tenant = Field(default="", validation_alias="ENTRA_TENANT_ID")
    """Directory (tenant) id, or `organizations`, or `consumers`."""

    client_id: ClientId = Field(default="", validation_alias="ENTRA_CLIENT_ID")
    """Application (client) id of the app registration."""

    allowed_tenants: Words = Field(default=(), validation_alias="ENTRA_ALLOWED_TENANTS")
    """Tenants whose users may sign in when the tenant is `organizations`; empty admits every organization."""

    authority: Authority = Field(default="login.microsoftonline.com", validation_alias="ENTRA_AUTHORITY")
    """Host of the sign-in service: another one in a sovereign cloud."""

    authorization_endpoint: HttpsUrl | None = Field(default=None, validation_alias="ENTRA_AUTHORIZATION_ENDPOINT")
    """Where browsers are sent to sign in, when that is not under the authority (a local stand-in)."""

    identifier_uri: str = Field(default="", validation_alias="ENTRA_IDENTIFIER_URI")
    """Application ID URI of the registration; `api://<client id>` unless set."""

    required_scopes: OwnScopes = Field(
        default=("access_as_user",), validation_alias="ENTRA_REQUIRED_SCOPES", min_length=1
    )
    """Scopes that every call needs, as the registration names them, without the identifier URI."""

    optional_scopes: OwnScopes = Field(default=(), validation_alias="ENTRA_OPTIONAL_SCOPES")
    """Further scopes of the registration, which single tools need."""

    allowed_app_roles: Words = Field(default=(), validation_alias="ENTRA_ALLOWED_APP_ROLES")
    """App roles one of which lets an application call for itself, without a person; empty admits no application."""

    additional_scopes: Words = Field(
        default=("openid", "profile", "offline_access", "User.Read"), validation_alias="ENTRA_ADDITIONAL_SCOPES"
    )
    """Further scopes that people are asked for at sign-in, such as Microsoft Graph's; clients never see them."""

    graph_base_url: GraphUrl = Field(default="https://graph.microsoft.com", validation_alias="GRAPH_BASE_URL")
    """Microsoft Graph, without the version: another host in a sovereign cloud."""

    assertion_audience: str = Field(
        default="api://AzureADTokenExchange", validation_alias="ENTRA_ASSERTION_AUDIENCE", min_length=1
    )
    """For whom the managed identity's token has to be, to serve as this server's proof at Entra ID."""

    @field_validator("allowed_tenants")
    @classmethod
    def _allowed_tenants(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        tenant = info.data.get("tenant_id")
        if value and tenant is not None and tenant != "organizations":
            raise ValueError("only means something when ENTRA_TENANT_ID is `organizations`")
        return tuple(guid(tenant, "holds something that is not a tenant GUID") for tenant in value)

    @field_validator("identifier_uri")
    @classmethod
    def _identifier_uri(cls, value: str, info: ValidationInfo) -> str:
        if not value:
            return f"api://{info.data.get('client_id')}"
        if not re.fullmatch(r"[a-z][a-z0-9+.-]*://[^\s/]\S*[^\s/]", value):
            raise ValueError("is a URI such as api://contoso.com/mcp, without a trailing slash")
        return value

    @property
    def offered_scopes(self) -> tuple[str, ...]:
        """Every scope that a client may ask for, those that every call needs first."""
        return tuple(dict.fromkeys((*self.required_scopes, *self.optional_scopes)))

    # MCP clients: which may register, and how long what they get is good.

    allowed_redirect_uris: RedirectUris = Field(
        default=("defaults",), validation_alias="MCP_ALLOWED_REDIRECT_URIS", min_length=1
    )
    """Redirect URIs that clients may register, and words that stand for those of well-known clients."""

    client_metadata_documents: bool = Field(default=True, validation_alias="MCP_CLIENT_METADATA_DOCUMENTS")
    """Whether a URL may serve as client id, whose document the server then fetches (CIMD)."""

    identity_assertion_issuers: HttpsUrls = Field(default=(), validation_alias="MCP_IDENTITY_ASSERTION_ISSUERS")
    """Identity providers whose assertions (ID-JAG) are taken in place of a sign-in; empty takes none."""

    refresh_token_days: int = Field(default=90, validation_alias="MCP_REFRESH_TOKEN_DAYS", ge=1, le=365)
    """How long after its sign-in a client can refresh, however often it does; then its user signs in again."""

    refresh_grace_seconds: float = Field(default=120, validation_alias="MCP_REFRESH_GRACE_SECONDS", ge=0, le=300)
    """How long a used refresh token gets its successor even if that was used; later that ends the sign-in."""

    access_token_minutes: int | None = Field(default=None, validation_alias="MCP_ACCESS_TOKEN_MINUTES", ge=5, le=60)
    """How long an access token is good; as long as the one that Entra ID issued, unless this is set."""

    registration_days: int = Field(default=90, validation_alias="MCP_REGISTRATION_DAYS", ge=2, le=3650)
    """How long a client's registration is kept after its last use."""

    @field_validator("identity_assertion_issuers")
    @classmethod
    def _identity_assertion_issuers(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if value and info.data.get("auth_mode") is AuthMode.VERIFY:
            raise ValueError("has no effect with AUTH_MODE=verify, where this server issues no tokens")
        return value

    # The vault and the table, and what an instance remembers of them.

    key_vault_url: VaultUrl = Field(default="", validation_alias="KEY_VAULT_URL")
    """The vault that holds `jwt-signing-key` and, in proxy mode, `entra-client-secret`."""

    table_service_uri: HttpsUrl | None = Field(default=None, validation_alias="AzureWebJobsStorage__tableServiceUri")
    """Table endpoint that is used with the managed identity; wins over the connection string."""

    queue_service_uri: HttpsUrl | None = Field(default=None, validation_alias="AzureWebJobsStorage__queueServiceUri")
    """Queue endpoint for background tasks, used with the managed identity like the table endpoint."""

    storage_client_id: str | None = Field(default=None, validation_alias="AzureWebJobsStorage__clientId")
    """Client id of the user-assigned identity for storage, as the Functions host knows it."""

    storage_connection_string: SecretStr | None = Field(default=None, validation_alias="AzureWebJobsStorage")
    """Connection string, for local use: `UseDevelopmentStorage=true` is Azurite."""

    table_name: str = Field(
        default="McpOAuthState", validation_alias="MCP_TABLE_NAME", pattern=r"^[A-Za-z][A-Za-z0-9]{2,62}$"
    )

    create_table: bool = Field(default=False, validation_alias="MCP_CREATE_TABLE")
    """Whether to create it at start-up; in Azure the deployment creates it and the identity need not be able to."""

    upstream_token_cache_seconds: float = Field(
        default=10, validation_alias="MCP_UPSTREAM_TOKEN_CACHE_SECONDS", ge=0, le=300
    )
    """How long an instance remembers a token set of Entra ID; that long a revoked one may go on working elsewhere."""

    visibility_rules: bool = Field(default=False, validation_alias="MCP_VISIBILITY_RULES")
    """Whether tools may hide and show components for one user, which costs each call a storage read."""

    session_days: int = Field(default=30, validation_alias="MCP_SESSION_DAYS", ge=1, le=365)
    """How long what tools keep for a user is there after the last change."""

    @field_validator("storage_connection_string")
    @classmethod
    def _storage_connection_string(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if value is None and info.data.get("table_service_uri", "faulty") is None:
            raise ValueError("is not set, and neither is AzureWebJobsStorage__tableServiceUri")
        if value is not None and info.data.get("table_service_uri") is None:
            names = {part.partition("=")[0] for part in value.get_secret_value().split(";")}
            if "UseDevelopmentStorage" not in names and not {"AccountName", "AccountKey"} <= names:
                raise ValueError("is not the connection string of a storage account")
        return value

    # The managed identity, as Azure describes it.

    identity_endpoint: str | None = Field(default=None, validation_alias="IDENTITY_ENDPOINT")
    """Set by Azure where a managed identity exists; decides which credential is used, and is read by azure-identity."""

    identity_client_id: str | None = Field(default=None, validation_alias="AZURE_CLIENT_ID")
    """Client id of the user-assigned managed identity."""

    # Where traces and metrics go.

    application_insights: SecretStr | None = Field(
        default=None, validation_alias="APPLICATIONINSIGHTS_CONNECTION_STRING", min_length=1
    )
    """Connection string of the Application Insights resource that traces and metrics go to."""

    application_insights_identity: str | None = Field(
        default=None,
        validation_alias="APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
        pattern=r"(?i)^(ClientId=[0-9a-f-]{36};)?Authorization=AAD(;ClientId=[0-9a-f-]{36})?;?$",
    )
    """Says that they go there with a token of the managed identity, and of which."""

    otlp_endpoint: str | None = Field(
        default=None, validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT", pattern=r"^https?://[^\s/]+"
    )
    """The collector that traces and metrics go to over OTLP/HTTP; read by OpenTelemetry, like its other variables."""

    traces_sampler: str | None = Field(default=None, validation_alias="OTEL_TRACES_SAMPLER")
    """Chooses another of OpenTelemetry's samplers, and is read by OpenTelemetry."""

    otel_service_name: str | None = Field(default=None, validation_alias="OTEL_SERVICE_NAME")

    site_name: str | None = Field(default=None, validation_alias="WEBSITE_SITE_NAME")
    """Name of the function app, set by Azure; the host's own telemetry goes under it."""

    @property
    def service_name(self) -> str:
        """The name under which traces and metrics go out."""
        return self.otel_service_name or self.site_name or self.server_name or "mcp-server"
