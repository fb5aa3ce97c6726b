"""The settings of the server: one frozen object, the only reader of the environment.

Each field names its environment variable, which is also the name of the app setting in Azure. A field that depends on
another is declared after it and checks it itself, so that one failed start names every fault at once.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Any, Self
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from entra_mcp.errors import SettingFault, SettingsError
from entra_mcp.known_clients import redirect_patterns
from entra_mcp.urls import is_loopback, require_https, require_narrow, require_origin, require_page_origin

ASSERTION_AUDIENCES = {
    "login.microsoftonline.us": "api://AzureADTokenExchangeUSGov",
    "login.partner.microsoftonline.cn": "api://AzureADTokenExchangeChina",
}
"""Audiences of federated credentials in sovereign clouds, by the host of their sign-in service."""

MULTI_TENANT = frozenset({"organizations", "consumers"})

KIB = 1024

Words = Annotated[tuple[str, ...], NoDecode]
"""Several values in one environment variable, separated by white space or commas."""


class AuthMode(StrEnum):
    """How the server learns who is calling."""

    PROXY = "proxy"
    """Clients register and sign in here; this server is an authorization server in front of Entra ID."""

    FEDERATED = "federated"
    """As `proxy`, and the server proves who it is with its managed identity instead of a client secret."""

    VERIFY = "verify"
    """Clients bring tokens that Entra ID issued for this server; it only verifies them."""

    @property
    def signs_in(self) -> bool:
        """Whether people sign in at this server, and tools can act on their behalf."""
        return self is not AuthMode.VERIFY


class Settings(BaseSettings):
    """What the environment says. Read it with `Settings.load()`, which reports all faults together."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="ignore",
        env_ignore_empty=True,
        case_sensitive=True,
        hide_input_in_errors=True,
        validate_default=True,
    )

    auth_mode: AuthMode = Field(default=AuthMode.PROXY, validation_alias="AUTH_MODE")

    server_name: str = Field(
        default="Entra MCP Server", validation_alias="MCP_SERVER_NAME", min_length=1, max_length=64
    )
    """Shown to people on the consent page, and part of what sealed request state is bound to: the same everywhere."""

    website_hostname: str | None = Field(default=None, validation_alias="WEBSITE_HOSTNAME")
    """Host name that Azure Functions gives the app; used when `MCP_BASE_URL` is not set."""

    base_url: str = Field(default="", validation_alias="MCP_BASE_URL")
    """Address under which clients reach this server, without a path and without a trailing slash."""

    allowed_hosts: Words = Field(default=(), validation_alias="MCP_ALLOWED_HOSTS")
    """Host names under which requests may come besides the base URL's and `WEBSITE_HOSTNAME`."""

    allowed_origins: Words = Field(default=(), validation_alias="MCP_ALLOWED_ORIGINS")
    """Origins of the web pages whose scripts may call `/mcp`."""

    client_address_header: str | None = Field(
        default=None, validation_alias="MCP_CLIENT_ADDRESS_HEADER", pattern=r"^[A-Za-z][A-Za-z0-9-]{0,63}$"
    )
    """The header in which the proxy in front of the platform tells the client's address, when there is one."""

    oauth_body_limit: int = Field(default=64 * KIB, validation_alias="MCP_OAUTH_BODY_LIMIT", ge=4 * KIB, le=1024 * KIB)
    """Largest request body in bytes, everywhere but at `/mcp`."""

    mcp_body_limit: int = Field(default=4096 * KIB, validation_alias="MCP_BODY_LIMIT", ge=64 * KIB, le=4096 * KIB)
    """Largest request body at `/mcp` in bytes; the MCP library takes no more than 4 MiB."""

    registrations_per_minute: int = Field(default=60, validation_alias="MCP_REGISTRATIONS_PER_MINUTE", ge=1, le=100_000)
    """How many clients one address may register at an instance."""

    registrations_per_minute_overall: int = Field(
        default=300, validation_alias="MCP_REGISTRATIONS_PER_MINUTE_OVERALL", ge=1, le=100_000
    )
    """How many clients may register at an instance, from wherever."""

    tenant_id: str = Field(default="", validation_alias="ENTRA_TENANT_ID")
    """Directory (tenant) id, or `organizations`, or `consumers`."""

    client_id: str = Field(default="", validation_alias="ENTRA_CLIENT_ID")
    """Application (client) id of the app registration."""

    allowed_tenants: Words = Field(default=(), validation_alias="ENTRA_ALLOWED_TENANTS")
    """Tenants whose users may sign in when the tenant is `organizations`; empty admits every organization."""

    authority: str = Field(default="login.microsoftonline.com", validation_alias="ENTRA_AUTHORITY")
    """Host of the sign-in service: another one in a sovereign cloud."""

    authorization_endpoint: str | None = Field(default=None, validation_alias="ENTRA_AUTHORIZATION_ENDPOINT")
    """Where browsers are sent to sign in, when that is not under the authority (a local stand-in)."""

    identifier_uri: str = Field(default="", validation_alias="ENTRA_IDENTIFIER_URI")
    """Application ID URI of the registration; `api://<client id>` unless set."""

    required_scopes: Words = Field(default=("access_as_user",), validation_alias="ENTRA_REQUIRED_SCOPES", min_length=1)
    """Scopes that every call needs, as the registration names them, without the identifier URI."""

    allowed_app_roles: Words = Field(default=(), validation_alias="ENTRA_ALLOWED_APP_ROLES")
    """App roles one of which lets an application call for itself, without a person; empty admits no application."""

    additional_scopes: Words = Field(
        default=("openid", "profile", "offline_access", "User.Read"), validation_alias="ENTRA_ADDITIONAL_SCOPES"
    )
    """Further scopes that people are asked for at sign-in, such as Microsoft Graph's; clients never see them."""

    allowed_redirect_uris: Words = Field(
        default=("defaults",), validation_alias="MCP_ALLOWED_REDIRECT_URIS", min_length=1
    )
    """Redirect URIs that clients may register, and words that stand for those of well-known clients."""

    client_metadata_documents: bool = Field(default=False, validation_alias="MCP_CLIENT_METADATA_DOCUMENTS")
    """Whether a URL may serve as client id, whose document the server then fetches (CIMD)."""

    refresh_token_days: int = Field(default=90, validation_alias="MCP_REFRESH_TOKEN_DAYS", ge=1, le=365)
    """How long after its sign-in a client can refresh, however often it does; then its user signs in again."""

    refresh_grace_seconds: float = Field(default=30, validation_alias="MCP_REFRESH_GRACE_SECONDS", ge=0, le=300)
    """How long a used refresh token still gets the tokens of its first use; later its use ends the sign-in."""

    registration_days: int = Field(default=90, validation_alias="MCP_REGISTRATION_DAYS", ge=2, le=3650)
    """How long a client's registration is kept after its last use."""

    graph_base_url: str = Field(default="https://graph.microsoft.com", validation_alias="GRAPH_BASE_URL")
    """Microsoft Graph, without the version: another host in a sovereign cloud."""

    key_vault_url: str = Field(default="", validation_alias="KEY_VAULT_URL")
    """The vault that holds `jwt-signing-key` and, in proxy mode, `entra-client-secret`."""

    table_service_uri: str | None = Field(default=None, validation_alias="AzureWebJobsStorage__tableServiceUri")
    """Table endpoint that is used with the managed identity; wins over the connection string."""

    storage_client_id: str | None = Field(default=None, validation_alias="AzureWebJobsStorage__clientId")
    """Client id of the user-assigned identity for storage, as the Functions host knows it."""

    storage_connection_string: SecretStr | None = Field(default=None, validation_alias="AzureWebJobsStorage")
    """Connection string, for local use: `UseDevelopmentStorage=true` is Azurite."""

    table_name: str = Field(
        default="McpOAuthState", validation_alias="MCP_TABLE_NAME", pattern=r"^[A-Za-z][A-Za-z0-9]{2,62}$"
    )

    create_table: bool = Field(default=False, validation_alias="MCP_CREATE_TABLE")
    """Whether to make the table at start-up; in Azure the deployment makes it and the identity need not be able to."""

    token_mapping_cache_seconds: float = Field(
        default=60, validation_alias="MCP_TOKEN_MAPPING_CACHE_SECONDS", ge=0, le=300
    )
    """How long an instance remembers which token set an access token stands for."""

    upstream_token_cache_seconds: float = Field(
        default=0, validation_alias="MCP_UPSTREAM_TOKEN_CACHE_SECONDS", ge=0, le=300
    )
    """How long an instance remembers a token set of Entra ID; that long a revoked one may go on working."""

    session_days: int = Field(default=30, validation_alias="MCP_SESSION_DAYS", ge=1, le=365)
    """How long what tools keep for a user is there after the last change."""

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

    identity_endpoint: str | None = Field(default=None, validation_alias="IDENTITY_ENDPOINT")
    """Set by Azure where a managed identity exists; decides which credential is used, and is read by azure-identity."""

    identity_client_id: str | None = Field(default=None, validation_alias="AZURE_CLIENT_ID")
    """Client id of the user-assigned managed identity."""

    @classmethod
    def load(cls) -> Self:
        """Reads the environment.

        Raises:
            SettingsError: with every fault, by the name of its environment variable and without its value.
        """
        try:
            return cls()
        except ValidationError as error:
            raise SettingsError(_faults(error)) from None

    @property
    def mcp_url(self) -> str:
        """The address to give to a client."""
        return f"{self.base_url}/mcp"

    @property
    def service_name(self) -> str:
        """The name under which traces and metrics go out."""
        return self.otel_service_name or self.site_name or self.server_name

    @property
    def assertion_audience(self) -> str:
        """For whom the managed identity's token has to be, to serve as this server's proof at Entra ID."""
        return ASSERTION_AUDIENCES.get(self.authority, "api://AzureADTokenExchange")

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_placeholders(cls, value: Any) -> Any:  # noqa: ANN401 - the raw value of any field
        if not isinstance(value, str):
            return value
        if "@Microsoft.KeyVault(" in value:
            raise ValueError("is a Key Vault reference that was not resolved")
        if value.startswith("<") and value.endswith(">"):
            raise ValueError("is still a placeholder")
        return value.strip()

    @field_validator(
        "allowed_hosts",
        "allowed_origins",
        "allowed_tenants",
        "allowed_app_roles",
        "required_scopes",
        "additional_scopes",
        "allowed_redirect_uris",
        mode="before",
    )
    @classmethod
    def _split_words(cls, value: Any) -> Any:  # noqa: ANN401 - the raw value of the field
        return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value

    @field_validator("base_url")
    @classmethod
    def _base_url(cls, value: str, info: ValidationInfo) -> str:
        hostname = info.data.get("website_hostname")
        if not value and hostname:
            value = f"{'http' if is_loopback(f'//{hostname}') else 'https'}://{hostname}"
        if not value:
            raise ValueError("is not set, and neither is WEBSITE_HOSTNAME")
        return require_origin(value)

    @field_validator("allowed_hosts")
    @classmethod
    def _allowed_hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(re.fullmatch(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", host, re.IGNORECASE) for host in value):
            raise ValueError("takes host names such as mcp.contoso.com, without https://, port, path or `*`")
        return value

    @field_validator("allowed_origins")
    @classmethod
    def _allowed_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(require_page_origin(origin) for origin in value)

    @field_validator("tenant_id")
    @classmethod
    def _tenant_id(cls, value: str) -> str:
        if not value:
            raise ValueError("is not set: the directory (tenant) id of the app registration")
        if value in MULTI_TENANT:
            return value
        return _guid(value, "is neither a tenant GUID nor `organizations` nor `consumers`")

    @field_validator("client_id")
    @classmethod
    def _client_id(cls, value: str) -> str:
        if not value:
            raise ValueError("is not set: the application (client) id of the app registration")
        return _guid(value, "is not the GUID of an app registration")

    @field_validator("allowed_tenants")
    @classmethod
    def _allowed_tenants(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        tenant = info.data.get("tenant_id")
        if value and tenant is not None and tenant != "organizations":
            raise ValueError("only means something when ENTRA_TENANT_ID is `organizations`")
        return tuple(_guid(tenant, "holds something that is not a tenant GUID") for tenant in value)

    @field_validator("authority")
    @classmethod
    def _authority(cls, value: str) -> str:
        if not re.fullmatch(r"[\w.-]+(:\d{1,5})?|\[[0-9a-f:]+\](:\d{1,5})?", value, re.IGNORECASE):
            raise ValueError("is a host name such as login.microsoftonline.us, without https:// and without a path")
        return value.lower()

    @field_validator("authorization_endpoint")
    @classmethod
    def _authorization_endpoint(cls, value: str | None) -> str | None:
        return None if value is None else require_https(value)

    @field_validator("identifier_uri")
    @classmethod
    def _identifier_uri(cls, value: str, info: ValidationInfo) -> str:
        if not value:
            return f"api://{info.data.get('client_id')}"
        if not re.fullmatch(r"[a-z][a-z0-9+.-]*://[^\s/]\S*[^\s/]", value):
            raise ValueError("is a URI such as api://contoso.com/mcp, without a trailing slash")
        return value

    @field_validator("required_scopes")
    @classmethod
    def _required_scopes(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any("/" in scope or scope in {"openid", "profile", "email", "offline_access"} for scope in value):
            raise ValueError(
                "takes the registration's own scopes, without the identifier URI and without OpenID scopes"
            )
        return value

    @field_validator("allowed_redirect_uris")
    @classmethod
    def _allowed_redirect_uris(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in redirect_patterns(value):
            require_narrow(pattern)
        return value

    @field_validator("graph_base_url")
    @classmethod
    def _graph_base_url(cls, value: str) -> str:
        parts = urlsplit(require_https(value))
        if parts.query or parts.fragment or re.search(r"/(v1\.0|beta)/?$", parts.path):
            raise ValueError("is the address of Microsoft Graph without the version, a query or a fragment")
        return value.rstrip("/")

    @field_validator("key_vault_url")
    @classmethod
    def _key_vault_url(cls, value: str) -> str:
        if not value:
            raise ValueError("is not set: the address of the Key Vault, https://<name>.vault.azure.net")
        if urlsplit(value).scheme != "https":
            raise ValueError("has to begin with https://")
        return require_origin(value)

    @field_validator("table_service_uri")
    @classmethod
    def _table_service_uri(cls, value: str | None) -> str | None:
        return None if value is None else require_https(value)

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


def _guid(value: str, problem: str) -> str:
    try:
        return str(UUID(value))
    except ValueError:
        raise ValueError(problem) from None


def _faults(error: ValidationError) -> list[SettingFault]:
    names = {name: str(field.validation_alias) for name, field in Settings.model_fields.items()}
    return [
        SettingFault(
            setting=names.get(str(fault["loc"][0]), str(fault["loc"][0])),
            problem=fault["msg"].removeprefix("Value error, "),
        )
        for fault in error.errors(include_url=False, include_context=False, include_input=False)
    ]
