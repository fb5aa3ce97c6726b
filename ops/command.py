"""What a subcommand is made of, and what it is given when it runs."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import httpx2

from ops import environment as inputs
from ops.clouds import Cloud, address_of, cloud_of
from ops.credentials import AsyncCredential, Tokens
from ops.graph import Directory
from ops.http import Api, Patience
from ops.vault import VaultItself, Version

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from pathlib import Path

    from azure.core.credentials import TokenCredential

    from entra_mcp.storage.table import Table
    from ops.environment import Environment, Input
    from ops.report import Report

MULTI_TENANT = frozenset({"organizations", "consumers", "common"})
TIMEOUT_SECONDS = 30.0


def no_arguments(_parser: argparse.ArgumentParser) -> None:
    """For a command that takes its inputs alone."""


def number_of(what: str, *, most: int) -> Callable[[str], int]:
    """The type of an option that takes a whole number from 1 on."""

    def number(text: str) -> int:
        if not text.isdecimal() or not 1 <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text} is no number of {what} from 1 to {most}")
        return int(text)

    return number


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One subcommand, which its module in `commands` has as COMMAND."""

    name: str
    summary: str
    description: str
    run: Callable[[Context], int]
    needs: tuple[Input, ...] = ()
    takes: tuple[Input, ...] = ()
    add_arguments: Callable[[argparse.ArgumentParser], None] = no_arguments
    examples: str = ""
    after_down: bool = False
    """Whether it also works with what was written down before azd forgot it."""
    before_up: bool = False
    """Whether it goes by the resource group that is asked for, not by the one that the vault is in."""


class Services:
    """The APIs of one run, each made when it is first used."""

    def __init__(
        self, environment: Environment, *, credential: Callable[[str], TokenCredential], patience: Patience
    ) -> None:
        self._environment = environment
        self._credential = credential
        self._tokens: dict[str, Tokens] = {}
        self.patience = patience

    @cached_property
    def cloud(self) -> Cloud:
        return cloud_of(self._environment)

    @cached_property
    def http(self) -> httpx2.Client:
        return httpx2.Client(timeout=TIMEOUT_SECONDS, follow_redirects=False)

    @cached_property
    def graph(self) -> Api:
        """Microsoft Graph, in the tenant of the registration."""
        return self._api("Microsoft Graph", self.cloud.graph, self.cloud.graph_scope, tenant=self.registration_tenant)

    @cached_property
    def directory(self) -> Directory:
        """The registrations of that tenant."""
        return Directory(self.graph)

    @cached_property
    def arm(self) -> Api:
        return self._api("Azure Resource Manager", self.cloud.arm, self.cloud.arm_scope)

    @cached_property
    def logs(self) -> Api:
        return self._api("Azure Monitor", self.cloud.logs, self.cloud.logs_scope)

    def vault_of(self, secret: Version) -> VaultItself:
        """The vault of the secret; the input KEY_VAULT_URL wins over what Azure says its address is."""
        url = address_of(self._environment, inputs.VAULT_URL, secret.vault_url)
        return VaultItself(self._api("Key Vault", url, self.cloud.vault_scope))

    def credential(self) -> AsyncCredential:
        """What gives the server's own code tokens of the subscription's tenant."""
        return AsyncCredential(self._credential(self._environment.get(inputs.TENANT)))

    def table(self) -> Table:
        """The server's table, with its connection string or as whoever runs this."""
        from entra_mcp.storage.table import Table

        if self._environment.has(inputs.CONNECTION_STRING):
            return Table.from_connection_string(self._environment[inputs.CONNECTION_STRING], name=self._table_name)
        return Table.from_identity(self._table_endpoint, name=self._table_name, credential=self.credential())

    @property
    def table_place(self) -> str:
        """The name of that table and the address of its account, without what a connection string opens it with."""
        from azure.data.tables import TableClient

        if not self._environment.has(inputs.CONNECTION_STRING):
            return f"{self._table_name} at {self._table_endpoint}"
        given = self._environment[inputs.CONNECTION_STRING]
        with TableClient.from_connection_string(given, self._table_name) as client:
            return f"{self._table_name} at {client.url.partition('?')[0]}"

    @property
    def _table_name(self) -> str:
        return self._environment.get(inputs.TABLE_NAME, inputs.DEFAULT_TABLE)

    @property
    def _table_endpoint(self) -> str:
        return f"https://{self._environment[inputs.STORAGE_ACCOUNT]}.table.{self.cloud.storage_suffix}"

    @property
    def registration_tenant(self) -> str:
        """The GUID of the tenant that contains the registration; empty when none is known."""
        tenant = self._environment.get(inputs.ENTRA_TENANT)
        return tenant if tenant and tenant not in MULTI_TENANT else self._environment.get(inputs.TENANT)

    def of(self, environment: Environment) -> Services:
        """The same for other inputs; to be closed as well."""
        return Services(environment, credential=self._credential, patience=self.patience)

    def close(self) -> None:
        if "http" in self.__dict__:
            self.http.close()

    def _api(self, service: str, base: str, scope: str, *, tenant: str | None = None) -> Api:
        chosen = self._environment.get(inputs.TENANT) if tenant is None else tenant
        if chosen not in self._tokens:
            self._tokens[chosen] = Tokens(self._credential(chosen))
        return Api(
            service=service,
            base=base,
            scope=scope,
            http=self.http,
            tokens=self._tokens[chosen],
            patience=self.patience,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a subcommand is given."""

    environment: Environment
    options: argparse.Namespace
    report: Report
    services: Services
    now: Callable[[], datetime]
    root: Path
    process: Mapping[str, str]
    """The variables of the process: what a program that is started sees."""
