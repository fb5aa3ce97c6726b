"""What the local environment is made of: addresses, identifiers and folders, in one place."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

REPOSITORY = Path(__file__).resolve().parent.parent

TENANT_ID = "11111111-1111-4111-8111-111111111111"
"""Directory (tenant) of the Entra stand-in."""

CLIENT_ID = "22222222-2222-4222-8222-222222222222"
"""Application (client) id of the registration that the Entra stand-in knows from the start."""

IDENTITY_CLIENT_ID = "55555555-5555-4555-8555-555555555555"
"""Client id of the user-assigned managed identity, which a token request has to name."""

OFFICER_ID = "aaaaaaaa-0002-4000-8000-000000000002"
"""Object id of who has the role Key Vault Secrets Officer: Local Admin in the directory file as it comes."""

IDENTITY_HEADER = "local-identity-header"
"""Shared value of the managed identity endpoint; it keeps other sites' pages out, not other programs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """TCP ports on loopback; the storage defaults are those of `UseDevelopmentStorage=true`."""

    functions: int = 7071
    blob: int = 10000
    queue: int = 10001
    table: int = 10002
    entra: int = 7443
    sign_in: int = 7080
    vault: int = 7444
    traces: int = 4318


PORT_PURPOSES = {
    "functions": "the Functions host",
    "blob": "Azurite, blobs",
    "queue": "Azurite, queues",
    "table": "Azurite, tables",
    "entra": "the Entra ID stand-in",
    "sign_in": "the sign-in page of the Entra ID stand-in",
    "vault": "the Key Vault stand-in",
    "traces": "traces and metrics, with --trace",
}
"""What each port is for, by the name of its field in `Ports`."""


def port_flag(name: str) -> str:
    """The flag that chooses the port of that name."""
    return f"--{name.replace('_', '-')}-port"


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalConfig:
    """One local environment; several can live side by side with other ports and another folder."""

    ports: Ports = field(default_factory=Ports)
    home: Path = REPOSITORY / ".local"
    forwarded: str = ""
    """Where people reach a port, https and with `{port}` in the name, when their browser is on another machine."""

    @property
    def tls(self) -> Path:
        return self.home / "tls"

    @property
    def ca_bundle(self) -> Path:
        """The public certificate authorities and the local one, as `SSL_CERT_FILE` wants them."""
        return self.tls / "bundle.pem"

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    @property
    def client_secret_file(self) -> Path:
        """Holds the client secret of the registration; the Entra stand-in accepts it, the vault stand-in serves it."""
        return self.home / "entra" / "client-secret"

    @property
    def base_url(self) -> str:
        """The server's address, for people and clients."""
        return self._outside(self.ports.functions)

    @property
    def local_url(self) -> str:
        """The server's address on this machine."""
        return _inside(self.ports.functions)

    @property
    def entra_authority(self) -> str:
        """Host and port, as `ENTRA_AUTHORITY` wants it; always https."""
        return f"127.0.0.1:{self.ports.entra}"

    @property
    def sign_in_url(self) -> str:
        """Where a browser signs in: plain http on loopback, so that no browser warns of a local certificate."""
        return self._outside(self.ports.sign_in)

    def authorization_endpoint(self, tenant: str) -> str:
        """The page for the accounts of a tenant: an id, `organizations` or `consumers`."""
        return f"{self.sign_in_url}/{tenant}/oauth2/v2.0/authorize"

    @property
    def shortcuts(self) -> Mapping[str, str]:
        """For each address that leads around by the outside, the one that does not."""
        ports = (self.ports.functions, self.ports.sign_in)
        return {self._outside(port): _inside(port) for port in ports} if self.forwarded else {}

    @property
    def vault_url(self) -> str:
        return f"https://127.0.0.1:{self.ports.vault}"

    @property
    def graph_url(self) -> str:
        return f"https://{self.entra_authority}/graph"

    @property
    def traces_url(self) -> str:
        """Where traces and metrics go to, when a run is traced, and where a browser sees them."""
        return _inside(self.ports.traces)

    @property
    def identity_endpoint(self) -> str:
        return f"https://{self.entra_authority}/msi/token"

    def _outside(self, port: int) -> str:
        return f"https://{self.forwarded.format(port=port)}" if self.forwarded else _inside(port)


def _inside(port: int) -> str:
    return f"http://localhost:{port}"


def from_repository(file: Path) -> str:
    """Relative to the repository, which is the app's working directory, if the file is inside."""
    return file.relative_to(REPOSITORY).as_posix() if file.is_relative_to(REPOSITORY) else str(file)


def codespace_name(environment: Mapping[str, str]) -> str:
    """The host name of a forwarded port in GitHub Codespaces, with `{port}` in it; empty anywhere else."""
    name = environment.get("CODESPACE_NAME")
    domain = environment.get("GITHUB_CODESPACES_PORT_FORWARDING_DOMAIN")
    inside = environment.get("CODESPACES", "").lower() == "true"
    return f"{name}-{{port}}.{domain}" if inside and name and domain else ""
