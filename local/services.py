"""What runs where: the local services as commands, with their ports, readiness and addresses."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

from local.azurite import azurite_service
from local.config import CLIENT_ID, PORT_PURPOSES, REPOSITORY, TENANT_ID, port_flag
from local.processes.ports import PortUse
from local.processes.probes import answers, status_of
from local.processes.supervisor import Service
from local.setup.environment import Environment
from local.setup.programs import find_program

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    from local.app_settings import AppSettings
    from local.config import LocalConfig

APP_BROKEN = 500
"""What the local host answers to /admin/host/status for an app that only a change can help."""
OF_AZURE = ("CONTAINER_", "WEBSITE_", "LEGION_", "KUBERNETES_SERVICE_")
"""How the names of variables begin by which the host of Core Tools would believe that it runs in Azure."""
DIRECT = "localhost,127.0.0.1,::1"
"""Hosts that no proxy is asked for."""

TITLES = {
    "azurite": "Azurite (Azure Storage)",
    "entra": "Entra ID, managed identity, Graph",
    "vault": "Key Vault",
    "traces": "Traces and metrics, in your browser",
    "functions": "Functions host with the MCP server",
}

TRACED = {"OTEL_METRIC_EXPORT_INTERVAL": "2000", "OTEL_BSP_SCHEDULE_DELAY": "500"}
"""Milliseconds between two sendings: short enough for somebody who looks on."""


def port_uses(config: LocalConfig, *, functions: bool, traced: bool = False) -> tuple[PortUse, ...]:
    """Every port of a run, with the flag that chooses another."""
    wanted = {"functions": functions, "traces": traced}
    return tuple(
        PortUse(
            number=getattr(config.ports, name),
            purpose=purpose,
            flag=port_flag(name),
            variable="PORT" if name == "functions" else f"{name.upper()}_PORT",
        )
        for name, purpose in PORT_PURPOSES.items()
        if wanted.get(name, True)
    )


def addresses(config: LocalConfig) -> dict[str, str]:
    """Where each service answers, for a person to read."""
    ports = config.ports
    return {
        "azurite": f"http://127.0.0.1:{ports.blob} (queues {ports.queue}, tables {ports.table})",
        "entra": f"https://{config.entra_authority}, sign-in {config.sign_in_url}",
        "vault": config.vault_url,
        "traces": config.traces_url,
        "functions": config.base_url,
    }


def stand_ins(settings: AppSettings, *, directory: Path) -> tuple[Service, ...]:
    """Azurite and what stands in for Entra ID and Key Vault; they need nothing of each other to start."""
    config, ports = settings.config, settings.config.ports
    surroundings = child_environment(settings.inherited)
    shared = ("--tls", str(config.tls), "--client-secret-file", str(config.client_secret_file))
    authority = config.tls / "ca.pem"
    return (
        azurite_service(
            REPOSITORY,
            location=config.home / "azurite",
            blob=ports.blob,
            queue=ports.queue,
            table=ports.table,
            environment=surroundings,
        ),
        Service(
            name="entra",
            command=(
                *(sys.executable, "-m", "local.entra", *shared, "--state", str(config.home / "entra")),
                *("--port", str(ports.entra), "--sign-in-port", str(ports.sign_in)),
                *("--tenant-id", TENANT_ID, "--client-id", CLIENT_ID),
                *("--redirect-uri", f"{config.base_url}/auth/callback", "--directory", str(directory)),
                *settings.registration,
            ),
            cwd=REPOSITORY,
            environment=surroundings,
            ready=answers(
                f"https://{config.entra_authority}/healthz", f"http://localhost:{ports.sign_in}/healthz", ca=authority
            ),
        ),
        Service(
            name="vault",
            command=(
                *(sys.executable, "-m", "local.vault", *shared, "--state", str(config.home / "vault")),
                *("--port", str(ports.vault), "--authority", config.entra_authority),
            ),
            cwd=REPOSITORY,
            environment=surroundings,
            ready=answers(f"{config.vault_url}/healthz", ca=authority),
        ),
    )


def traces_viewer(settings: AppSettings) -> Service:
    """What receives the app's traces and metrics and shows them."""
    config = settings.config
    return Service(
        name="traces",
        command=(sys.executable, "-m", "local.traces", "--port", str(config.ports.traces)),
        cwd=REPOSITORY,
        environment=child_environment(settings.inherited),
        ready=answers(f"{config.traces_url}/healthz"),
    )


def functions_host(settings: AppSettings, *, kind: str, watch: bool, traced: bool = False) -> Service:
    """The host that runs function_app.py: the local one, or Core Tools (`kind` "func")."""
    config, core = settings.config, kind == "func"
    inherited = {name: value for name, value in settings.inherited.items() if not (core and name.startswith(OF_AZURE))}
    surroundings = {**child_environment(inherited), **settings.overrides}
    if traced:
        surroundings |= {"OTEL_EXPORTER_OTLP_ENDPOINT": config.traces_url, **TRACED}
    port = str(config.ports.functions)
    if core:
        command = (core_tools(), "start", "--port", port)
        surroundings |= _virtual_environment(surroundings)
    else:
        watching = ("--watch",) if watch else ()
        options = ("--app", str(REPOSITORY), "--port", port, "--settings", str(settings.file), *watching)
        command = (sys.executable, "-m", "local.host", *options)
    probed = (f"{config.local_url}/admin/host/status", f"{config.local_url}/healthz")
    return Service(
        name="functions",
        command=command,
        cwd=REPOSITORY,
        environment=surroundings,
        ready=_settled(*probed) if watch else answers(*probed),
        start_timeout=180.0 if core else 90.0,
        # Core Tools swallows SIGTERM.
        stop_signal=signal.SIGINT if core else signal.SIGTERM,
        grace=10.0,
    )


def child_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of this process, with logs that are written at once and no proxy between local services."""
    proxies = {
        name: f"{environment[name]},{DIRECT}" if environment.get(name) else DIRECT for name in ("NO_PROXY", "no_proxy")
    }
    return {**environment, **proxies, "PYTHONUNBUFFERED": "1"}


def core_tools() -> str:
    """The path of `func`; CommandError when there is none."""
    hint = (
        "Install Azure Functions Core Tools (https://aka.ms/func-install), or leave out --host func "
        "(make: HOST=func): the local host needs no installation."
    )
    return find_program("func", hint=hint)


def _settled(status: str, health: str) -> Callable[[], Awaitable[bool]]:
    """Whether the app answers, or cannot be indexed: a host that watches its files then stays and has said why.

    One that does not watch them is about to end.
    """
    running = answers(status, health)

    async def check() -> bool:
        return await status_of(status) == APP_BROKEN or await running()

    return check


def _virtual_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Core Tools runs the Python that an activated environment puts first on PATH."""
    scripts = Environment(root=REPOSITORY).python.parent
    return {"VIRTUAL_ENV": str(scripts.parent), "PATH": os.pathsep.join([str(scripts), environment.get("PATH", "")])}
