"""The app's settings on a laptop: which file holds them, and what changes when ports or folders are other ones."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from local.azurite import connection_string
from local.config import REPOSITORY, TENANT_ID, LocalConfig, Ports, from_repository
from local.host.settings_files import read_local_settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

OWN = "local.settings.json"
SAMPLE = "local.settings.sample.json"

STRAYS = frozenset({"IDENTITY_SERVER_THUMBPRINT", "ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY"})
"""Variables that lead the app's libraries away from the local services.

With IDENTITY_SERVER_THUMBPRINT, azure-identity takes the identity endpoint for Service Fabric's.
"""
CERTIFICATES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")

REGISTRATION = {
    "ENTRA_IDENTIFIER_URI": "--identifier-uri",
    "ENTRA_REQUIRED_SCOPES": "--scopes",
    "ENTRA_OPTIONAL_SCOPES": "--optional-scopes",
    "ENTRA_ADDITIONAL_SCOPES": "--additional-scopes",
    "ENTRA_ALLOWED_APP_ROLES": "--app-roles",
}
"""Settings that describe the app registration, and the options of the Entra stand-in for them."""


@dataclass(frozen=True, kw_only=True)
class AppSettings:
    """The settings file in use and its `Values`, for a run with this configuration that is started from this shell."""

    file: Path
    values: Mapping[str, str]
    config: LocalConfig = field(default_factory=LocalConfig)
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)

    @property
    def signs_in_locally(self) -> bool:
        """Whether the app sends people to the stand-in's sign-in page rather than to Microsoft's."""
        return self.values.get("ENTRA_AUTHORIZATION_ENDPOINT", "").startswith(f"{LocalConfig().sign_in_url}/")

    @property
    def trusts_local_entra(self) -> bool:
        """Whether the app accepts the tokens of the stand-in."""
        return self.values.get("ENTRA_AUTHORITY") == LocalConfig().entra_authority

    @property
    def verifies(self) -> bool:
        """Whether AUTH_MODE, as the app will see it, leaves the sign-in to others."""
        return self.effective.get("AUTH_MODE", "proxy").strip().lower() == "verify"

    @property
    def tenant(self) -> str:
        """ENTRA_TENANT_ID as the app will see it."""
        return self.effective.get("ENTRA_TENANT_ID", TENANT_ID)

    @property
    def strays(self) -> tuple[str, ...]:
        """Variables of the shell of which the app gets none, if people sign in at the stand-in."""
        return tuple(name for name in self.environment if name.upper() in STRAYS) if self.signs_in_locally else ()

    @property
    def ignored(self) -> list[str]:
        """Variables of the shell that the app does not see as they are there."""
        shadowed = {name for name, value in self.overrides.items() if self.environment.get(name, value) != value}
        return sorted(shadowed.union(self.strays))

    @property
    def inherited(self) -> dict[str, str]:
        """What the app and the stand-ins get of the shell."""
        strays = self.strays
        return {name: value for name, value in self.environment.items() if name not in strays}

    @cached_property
    def overrides(self) -> dict[str, str]:
        """Environment variables for the app, where the file's value would lead to the wrong place.

        A value that a person changed in the file stays. One that is still the sample's follows the ports, and wins over
        the shell's where people sign in at the stand-in: what a developer exports for Azure (AZURE_CLIENT_ID, say) is
        for other places. So do the certificates always, for only the local authority signs what is called. The
        local sign-in page is that of ENTRA_TENANT_ID, wherever that is set.
        """
        local, moved = self.signs_in_locally, self._moved_apis()
        placed = {**placed_settings(self.config), **moved}
        standard = {**(read_settings(REPOSITORY / SAMPLE).values if local else {}), **placed_settings(LocalConfig())}
        changed = {name: value for name, value in moved.items() if name not in self.environment}
        for name, usual in standard.items():
            value = placed.get(name, usual)
            shadowed = (local or name in CERTIFICATES) and self.environment.get(name, value) != value
            if self.values.get(name) == usual and (value != usual or shadowed):
                changed[name] = value
        given = {**self.values, **self.environment, **changed}
        endpoint = self.config.authorization_endpoint(given.get("ENTRA_TENANT_ID") or TENANT_ID)
        if local and given["ENTRA_AUTHORIZATION_ENDPOINT"] != endpoint:
            changed["ENTRA_AUTHORIZATION_ENDPOINT"] = endpoint
        return changed

    @property
    def effective(self) -> dict[str, str]:
        """Every setting as the app will see it."""
        return {**self.values, **self.environment, **self.overrides}

    @property
    def registration(self) -> tuple[str, ...]:
        """Options with which the Entra stand-in has the app registration that the settings describe."""
        found = self.effective
        values = {flag: found.get(name, "").replace(",", " ").strip() for name, flag in REGISTRATION.items()}
        return tuple(f"{flag}={value}" for flag, value in values.items() if value)

    def _moved_apis(self) -> dict[str, str]:
        """Settings of any name that hold the address of an API of the directory file, with the port of this run."""
        usual = f"https://{LocalConfig().entra_authority}/apis/"
        here = f"https://{self.config.entra_authority}/apis/"
        values = self.values.items() if here != usual else ()
        return {name: here + value.removeprefix(usual) for name, value in values if value.startswith(usual)}


def load_settings(root: Path) -> AppSettings:
    """A person's own local.settings.json if there is one, as Core Tools has it, else the sample."""
    return read_settings(root / OWN if (root / OWN).is_file() else root / SAMPLE)


def read_settings(file: Path) -> AppSettings:
    """The settings in a file of the form that Core Tools reads; SettingsFileError when it has another."""
    return AppSettings(file=file, values=read_local_settings(file, required=True))


def placed_settings(config: LocalConfig) -> dict[str, str]:
    """Every app setting that follows from where the local services are, and from nothing else."""
    ports = config.ports
    defaults = Ports()
    emulator = (ports.blob, ports.queue, ports.table) == (defaults.blob, defaults.queue, defaults.table)
    storage = connection_string(blob=ports.blob, queue=ports.queue, table=ports.table)
    return {
        "AzureWebJobsStorage": "UseDevelopmentStorage=true" if emulator else storage,
        "MCP_BASE_URL": config.base_url,
        "ENTRA_AUTHORITY": config.entra_authority,
        "KEY_VAULT_URL": config.vault_url,
        "GRAPH_BASE_URL": config.graph_url,
        "IDENTITY_ENDPOINT": config.identity_endpoint,
        **dict.fromkeys(CERTIFICATES, from_repository(config.ca_bundle)),
    }
