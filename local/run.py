"""`run` and `services`: start everything, sign in and call the tools, report what happened, stay up until stopped."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from local.account import Account
from local.app_settings import (
    OWN,
    SAMPLE,
    AppSettings,
    auth_mode,
    effective,
    load_settings,
    overrides,
    read_settings,
    signs_in_locally,
    strays,
    trusts_local_entra,
)
from local.check.report import CheckFailedError
from local.client_secret import ensure_client_secret
from local.config import REPOSITORY, LocalConfig, Ports, from_repository
from local.directory import DirectoryError, load_directory
from local.exit_codes import FAILED, OK, PORT_TAKEN, SIGNALLED, USAGE
from local.host.errors import SettingsFileError
from local.loopback.tls import ensure_tls
from local.processes.locks import LockHeldError, exclusive
from local.processes.ports import PortsTakenError, check_ports
from local.processes.signals import StopRequest, cancelled_by_signals
from local.processes.supervisor import ServiceEndedError, ServiceError, Supervisor
from local.progress import CommandError, tail_of
from local.restarts import tell_restarts
from local.services import TITLES, addresses, core_tools, functions_host, port_uses, stand_ins, traces_viewer

if TYPE_CHECKING:
    from pathlib import Path
    from signal import Signals

    from local.directory import Directory

TITLE_WIDTH = max(map(len, TITLES.values())) + 2


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What the command line asked for."""

    config: LocalConfig
    directory: Path
    functions: bool
    """False for `services`: only what the app needs, not the app."""
    host: str
    check: bool
    watch: bool
    trace: bool
    settings: Path | None


def run(options: RunOptions) -> int:
    """Do it; the exit code: 0 ended as asked, 1 something failed, 2 a prerequisite is missing, 3 a port is taken."""
    account, config = Account(), options.config
    try:
        with exclusive(config.home / "run.sqlite3", note=f"process {os.getpid()}, {config.base_url}/mcp"):
            check_ports(port_uses(config, functions=options.functions, traced=options.trace))
            settings = _settings(options, account)
            directory = load_directory(options.directory)
            if options.functions and not _settings_are_good(settings, config, account):
                return USAGE
            ensure_tls(config.tls)
            ensure_client_secret(config.client_secret_file)
            return asyncio.run(_Run(options, settings, directory, account).until_stopped())
    except LockHeldError as held:
        account.failed("already running", f"{held.note or 'another process'} uses {config.home}.")
        account.line("Stop it with Ctrl-C in its terminal, or give this one other ports and another --home.")
        return PORT_TAKEN
    except PortsTakenError as fault:
        account.failed("ports", str(fault))
        return PORT_TAKEN
    except (CommandError, DirectoryError, SettingsFileError) as fault:
        account.failed("prerequisite", str(fault))
        return USAGE


def _settings(options: RunOptions, account: Account) -> AppSettings:
    if options.functions and options.host == "func":
        core_tools()
        own = REPOSITORY / OWN
        if not own.exists():
            shutil.copyfile(REPOSITORY / SAMPLE, own)
            account.line(f"Core Tools reads {OWN}; there was none, so it is now a copy of {SAMPLE}.")
    return read_settings(options.settings) if options.settings else load_settings(REPOSITORY)


def _settings_are_good(settings: AppSettings, config: LocalConfig, account: Account) -> bool:
    """Whether the server would start with them; every fault and every unknown name is reported with the file."""
    from app.server import server
    from entra_mcp.settings import Settings, faults_of, unknown_names

    for notice in unknown_names(settings.values, Settings.names() | server.settings.names()):
        account.line(f"{settings.file.name}: {notice}")
    faults = faults_of(effective(settings, config, environment=os.environ), Settings, server.settings)
    if faults:
        account.failed("settings", f"{settings.file} has {len(faults)} fault(s)")
        for fault in faults:
            account.line(f"  {fault}")
    return not faults


class _Run:
    def __init__(self, options: RunOptions, settings: AppSettings, directory: Directory, account: Account) -> None:
        self._options = options
        self._config = options.config
        self._settings = settings
        self._directory = directory
        self._account = account
        self._began = time.monotonic()
        self._up = False

    async def until_stopped(self) -> int:
        with cancelled_by_signals(on_signal=self._say_stopping) as request:
            try:
                async with Supervisor(logs=self._config.logs) as supervisor:
                    code = await self._work(supervisor)
            except asyncio.CancelledError:
                code = self._code_of(request)
            except ServiceError as fault:
                self._account.failed(fault.name, str(fault))
                lost_race = isinstance(fault, ServiceEndedError) and fault.exit_code == PORT_TAKEN
                code = PORT_TAKEN if lost_race else FAILED
        with suppress(OSError):
            self._account.line("Everything that was started has ended.")
        return code

    async def _work(self, supervisor: Supervisor) -> int:
        await self._start(supervisor)
        if not self._options.functions:
            self._tell_what_next()
        else:
            passed = await supervisor.watch(self._check())
            if self._options.check:
                return OK if passed else FAILED
            if not passed:
                self._account.line("Everything stays up all the same, for you to look at.")
            self._tell_how_to_connect()
        self._account.heading("Running. Ctrl-C stops everything.")
        self._up = True
        log = self._config.logs / "functions.log"
        await supervisor.watch(tell_restarts(log, self._account) if self._options.watch else asyncio.Event().wait())
        return OK

    async def _start(self, supervisor: Supervisor) -> None:
        account, options = self._account, self._options
        account.heading("Starting")
        left_out = strays(self._settings, os.environ) if options.functions else ()
        environment = {name: value for name, value in os.environ.items() if name not in left_out}
        backing = stand_ins(self._config, self._settings, directory=self._options.directory, environment=environment)
        if options.trace:
            backing = (*backing, traces_viewer(self._config, environment=environment))
        await supervisor.start(*backing, on_ready=self._tell_ready)
        if options.functions:
            host = functions_host(
                self._config,
                self._settings,
                kind=options.host,
                watch=options.watch,
                environment=environment,
                traced=options.trace,
            )
            await supervisor.start(host, on_ready=self._tell_ready)
            account.line(f"Settings: {self._settings.file.name}")
            changed = overrides(self._settings, self._config, environment=os.environ)
            shadowed = [name for name, value in changed.items() if os.environ.get(name, value) != value]
            if left_out or shadowed:
                account.line(f"Not taken from your shell: {', '.join(sorted({*left_out, *shadowed}))}")

    def _tell_ready(self, name: str, seconds: float) -> None:
        detail = f"{addresses(self._config)[name]}, log in {from_repository(self._config.logs / f'{name}.log')}"
        self._account.done(TITLES[name], detail, seconds=seconds, width=TITLE_WIDTH)

    async def _check(self) -> bool:
        account = self._account
        verifies = self._verifies()
        if not verifies and not signs_in_locally(self._settings):
            account.heading("Sign-in")
            account.line(f"{self._settings.file.name} names an Entra ID other than the local one, where only a person")
            account.line("can sign in: no check was made.")
            return False
        from local.check.run import check_log

        heading = "A real MCP client signs in and calls the tools"
        account.heading("AUTH_MODE is verify: there is nothing to sign in to at this server" if verifies else heading)
        log = self._config.logs / "check.log"
        try:
            await (self._check_tokens(log) if verifies else self._check_sign_in(log))
            if self._options.host == "local":
                await check_log(self._config.local_url)
        except CheckFailedError as fault:
            account.failed(fault.step, fault.reason)
            for name in ("functions", "entra", "check"):
                file = self._config.logs / f"{name}.log"
                tail = tail_of(file)
                if tail:
                    account.line(f"The end of {from_repository(file)}:")
                    account.text(tail)
            return False
        account.line(f"All of it worked, {time.monotonic() - self._began:.0f} s after the start.", style="green")
        return True

    def _verifies(self) -> bool:
        return auth_mode(self._settings, self._config, environment=os.environ) == "verify"

    async def _check_sign_in(self, log: Path) -> None:
        from local.check.run import check_server

        kept = self._config.home / "check-client" / "sign-in"
        url = f"{self._config.base_url}/mcp"
        _, person = self._directory.first
        await check_server(
            url, person=person.name, kept=kept, log=log, report=self._account, shortcuts=self._config.shortcuts
        )

    async def _check_tokens(self, log: Path) -> None:
        """Without a sign-in: with a token of the stand-in, or by readiness alone where the server trusts another."""
        from local.check.run import check_token, why_not_ready

        url, config = f"{self._config.local_url}/mcp", self._config
        if trusts_local_entra(self._settings):
            entra, ca = f"https://{config.entra_authority}", config.tls / "ca.pem"
            account, _ = self._directory.first
            await check_token(url, account=account, entra=entra, ca=ca, log=log, report=self._account)
        elif notice := await why_not_ready(url):
            raise CheckFailedError("readiness", notice)
        else:
            self._account.done("readiness", "it trusts another Entra ID: only readiness was checked")

    def _tell_how_to_connect(self) -> None:
        if self._verifies():
            self._account.heading(f"Clients of {self._config.base_url}/mcp send a token of Entra ID as bearer token")
            return
        from app.server import server
        from entra_mcp.web.connect import connection_guides

        account = self._account
        url = f"{self._config.base_url}/mcp"
        account.heading(f"Connect your own client to {url}")
        if self._config.forwarded:
            ports = self._config.ports
            account.line(f"This is a forwarded port. For a client outside this codespace make {ports.functions} and")
            account.line(f"{ports.sign_in} public in the Ports view, which lets anybody in who has the address.")
        name = self._settings.values.get("MCP_SERVER_NAME") or server.name
        for guide in connection_guides(url, name):
            account.line()
            account.line(f"{guide.client}: {guide.where}")
            account.paste(guide.text)

    def _tell_what_next(self) -> None:
        account = self._account
        account.heading("Now run the app with Azure Functions Core Tools, in another terminal")
        account.line("Copy the settings (once), then start the host:")
        port = self._config.ports.functions
        account.paste(f"cp {SAMPLE} {OWN}\nfunc start" + ("" if port == Ports().functions else f" --port {port}"))
        account.line("Core Tools runs the Python of the active environment: activate .venv first.")
        changed = overrides(self._settings, self._config, environment=os.environ)
        if changed:
            account.line("Your ports or your shell differ from what that file says; set these variables for func:")
            account.paste("\n".join(f"{name}={value}" for name, value in changed.items()))

    def _say_stopping(self, signal: Signals) -> None:
        with suppress(OSError):
            self._account.heading(f"Stopping ({signal.name})")

    def _code_of(self, request: StopRequest) -> int:
        if request.received is None:
            raise asyncio.CancelledError
        return OK if self._up else SIGNALLED + request.received
