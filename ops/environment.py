"""The inputs of the commands: options win over environment variables, which win over azd's own environment.

azd gives its hooks every output of the infrastructure as an environment variable. A person's shell has none of them, so
the same values are also read from where azd keeps them, `.azure/<environment>/.env`.

Threat: variables of a shell may be another deployment's than the one that `--environment` names, and commands delete.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dotenv import dotenv_values

from ops.documents import read
from ops.errors import BadInputError, MissingInputsError, flag_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Input:
    """One value a command may need: the name of its environment variable, and what it is."""

    name: str
    what: str

    @property
    def flag(self) -> str:
        return flag_of(self.name)


TENANT = Input("AZURE_TENANT_ID", "tenant of the subscription")
DIRECTORY = Input("AZURE_DIRECTORY_ID", "tenant of the deployment, as the infrastructure names it")
CLOUD = Input("AZURE_CLOUD_NAME", "cloud of the deployment: AzureCloud, AzureUSGovernment or AzureChinaCloud")
SUBSCRIPTION = Input("AZURE_SUBSCRIPTION_ID", "subscription of the deployment")
LOCATION = Input("AZURE_LOCATION", "region of the deployment, such as swedencentral")
ENVIRONMENT_NAME = Input("AZURE_ENV_NAME", "name of azd's environment")
RESOURCE_GROUP = Input("AZURE_RESOURCE_GROUP", "resource group of the deployment")
FUNCTION_APP = Input("AZURE_FUNCTION_APP_NAME", "name of the function app")
VAULT_NAME = Input("AZURE_KEY_VAULT_NAME", "name of the Key Vault")
VAULT_ID = Input("AZURE_KEY_VAULT_ID", "resource id of the Key Vault")
STORAGE_ACCOUNT = Input("AZURE_STORAGE_ACCOUNT_NAME", "name of the storage account")
CLIENT_ID = Input("ENTRA_CLIENT_ID", "application (client) id of the registration")
ENTRA_TENANT = Input("ENTRA_TENANT_ID", "tenant of the registration, or organizations or consumers")
APP_OBJECT_ID = Input("ENTRA_APP_OBJECT_ID", "object id of the registration")
APP_UNIQUE_NAME = Input("ENTRA_APP_UNIQUE_NAME", "unique name of the registration that the infrastructure made")
EXISTING_CLIENT_ID = Input("ENTRA_EXISTING_CLIENT_ID", "client id of a registration that somebody else made")
OWNER_IDS = Input("ENTRA_OWNER_IDS", "object ids of further owners of the registration")
PRIVATE_NETWORK = Input("PRIVATE_NETWORK", "whether storage and vault are in a private network: true or false")
ADMIN_CONSENT = Input("ENTRA_ADMIN_CONSENT", "whether to consent for everybody in the directory: true or false")
ASSIGNMENT_REQUIRED = Input("ENTRA_ASSIGNMENT_REQUIRED", "whether only assigned people may sign in: true or false")
REQUIRED_SCOPES = Input("ENTRA_REQUIRED_SCOPES", "scopes of the registration that every call needs")
OPTIONAL_SCOPES = Input("ENTRA_OPTIONAL_SCOPES", "further scopes of the registration, which single tools need")
ADDITIONAL_SCOPES = Input("ENTRA_ADDITIONAL_SCOPES", "what else people are asked for at the sign-in")
API_PERMISSIONS = Input("ENTRA_API_PERMISSIONS", "delegated permissions of other APIs, as docs/deploy.md prints them")
PRIVATE_DNS_ZONES = Input(
    "NETWORK_PRIVATE_DNS_ZONES", "id of the resource group of the private DNS zones, or none where a policy has them"
)
RESOURCE_TAGS = Input("RESOURCE_TAGS", "further tags of all resources: NAME=value;NAME=value")
PURGE_PROTECTION = Input("VAULT_PURGE_PROTECTION", "whether nobody can purge the deleted vault: true or false")
EXPIRY_DATE = Input("VAULT_EXPIRY_DATE", "day on which keys that are put into the vault expire, such as 2027-03-01")
RESOURCE_LOCK = Input("RESOURCE_LOCK", "whether a lock keeps the resource group from being deleted: true or false")
DIAGNOSTICS_WORKSPACE = Input("DIAGNOSTICS_WORKSPACE_ID", "id of a Log Analytics workspace that gets the logs as well")
FUNCTIONS_SUBNET = Input("NETWORK_FUNCTIONS_SUBNET_ID", "id of a subnet for the app, in private mode")
ENDPOINTS_SUBNET = Input("NETWORK_ENDPOINTS_SUBNET_ID", "id of a subnet for the private endpoints, in private mode")
PRESET = Input("DEPLOYMENT_PRESET", "dev or prod: what the deployment is like where nothing else is said")
SECRET_DAYS = Input("CLIENT_SECRET_DAYS", "how many days a new client secret is good, 1 to 730 (default 180)")
PREFLIGHT = Input("PREFLIGHT", "warn: findings of the checks before a deployment do not stop it")
ALERT_EMAIL = Input("ALERT_EMAIL", "who gets alerts")
AUTH_MODE = Input("AUTH_MODE", "how people sign in: proxy, federated or verify")
BASE_URL = Input("MCP_BASE_URL", "address of the server, without a path")
AUTHORITY = Input("ENTRA_AUTHORITY", "host of the sign-in service; another one in a sovereign cloud")
GRAPH_URL = Input("GRAPH_BASE_URL", "Microsoft Graph, without the version")
ARM_URL = Input("AZURE_RESOURCE_MANAGER_URL", "Azure Resource Manager")
LOGS_URL = Input("AZURE_LOGS_URL", "query endpoint of Azure Monitor logs")
VAULT_URL = Input("KEY_VAULT_URL", "address of the Key Vault")
TABLE_NAME = Input("MCP_TABLE_NAME", "table of the server, McpOAuthState unless set")
CONNECTION_STRING = Input("AzureWebJobsStorage", "connection string, where there is no account (the emulator)")

DEFAULT_AUTH_MODE = "proxy"
DEFAULT_SCOPES = "access_as_user"
DEFAULT_ADDITIONAL_SCOPES = "openid profile offline_access User.Read"
DEFAULT_TABLE = "McpOAuthState"
"""What the infrastructure and the server have where nothing is set."""

ENDPOINTS = (AUTHORITY, GRAPH_URL, ARM_URL)
"""The options of every command that talks to Azure."""

ADDRESSES = (GRAPH_URL, ARM_URL, LOGS_URL)
"""What is said of the services themselves, and of no deployment."""


class Environment:
    """What is known; empty values count as missing."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = {name: value.strip() for name, value in values.items() if value.strip()}

    def get(self, item: Input, default: str = "") -> str:
        return self._values.get(item.name, default)

    def has(self, item: Input) -> bool:
        return item.name in self._values

    def says(self, item: Input) -> bool:
        """Whether it is `true`."""
        return self.get(item).lower() == "true"

    def words(self, item: Input, default: str = "") -> list[str]:
        """The values, which spaces or commas separate."""
        return words_of(self.get(item, default))

    def pairs(self, item: Input) -> dict[str, str]:
        """The values by their names.

        Raises:
            BadInputError: it is not of the form NAME=value;NAME=value.
        """
        parts = [part.partition("=") for part in self.get(item).split(";") if part.strip()]
        if not all(name.strip() and equals for name, equals, _ in parts):
            raise BadInputError(item.name, "has to be NAME=value;NAME=value")
        return {name.strip(): value.strip() for name, _, value in parts}

    def __getitem__(self, item: Input) -> str:
        self.require(item)
        return self._values[item.name]

    def with_values(self, values: Mapping[str, str]) -> Environment:
        """The same with some values changed; empty ones change nothing."""
        return Environment({**self._values, **{name: value for name, value in values.items() if value}})

    def with_defaults(self, values: Mapping[str, str]) -> Environment:
        """The same, with these values for what is missing."""
        return Environment({**values, **self._values})

    def require(self, *items: Input) -> None:
        """Raises MissingInputsError with every one that is missing."""
        missing = [item.name for item in items if item.name not in self._values]
        if missing:
            raise MissingInputsError(missing)


def words_of(text: str) -> list[str]:
    """The words of a value, which spaces or commas separate."""
    return text.replace(",", " ").split()


def azd_folder(root: Path, name: str) -> Path | None:
    """Where azd keeps its environment `name`, or its default one if that is empty; None where it has none."""
    folder = root / ".azure"
    chosen = name or str(read(folder / "config.json").get("defaultEnvironment") or "")
    return folder / chosen if chosen and (folder / chosen).is_dir() else None


def azd_values(folder: Path | None) -> dict[str, str]:
    """What azd keeps in the folder of an environment; nothing where there is none."""
    kept = dotenv_values(folder / ".env", interpolate=False) if folder else {}
    return {name: value for name, value in kept.items() if value is not None}
