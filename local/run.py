"""`run` and `services`: start everything, sign in and call the tools, report what happened, stay up until stopped."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from local.account import Account
from local.app_settings import OWN, SAMPLE, load_settings, read_settings
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

    from local.app_settings import AppSettings
    from local.directory import Directory, Person

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
            if options.functions and not _settings_are_good(settings, account, watch=options.watch):
                return USAGE
            ensure_tls(config.tls)
            ensure_client_secret(config.client_secret_file)
            started = _Run(options=options, settings=settings, directory=directory, account=account)
            return asyncio.run(started.until_stopped())
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
    settings = read_settings(options.settings) if options.settings else load_settings(REPOSITORY)
    return replace(settings, config=options.config)


def _settings_are_good(settings: AppSettings, account: Account, *, watch: bool) -> bool:
    """Whether the server would start with them; every fault and every unknown name is reported with the file.

    Of an app that cannot be imported the host says so, and stays where it watches the files.
    """
    from entra_mcp.settings import Settings, faults_of, unknown_names

    try:
        from app.server import server
    except Exception as error:  # noqa: BLE001 - whatever an app's module raises
        account.failed("app", f"src/app/server.py cannot be imported: {type(error).__name__}: {error}")
        return watch
    for notice in unknown_names(settings.values, Settings.names() | server.settings.names()):
        account.line(f"{settings.file.name}: {notice}")
    faults = faults_of(settings.effective, Settings, server.settings)
    if faults:
        account.failed("settings", f"{settings.file} has {len(faults)} fault(s)")
        for fault in faults:
            account.line(f"  {fault}")
    return not faults


@dataclass(kw_only=True)
class _Run:
    """One run, from its start until everything that it started has ended."""

    options: RunOptions
    settings: AppSettings
    directory: Directory
    account: Account
    began: float = field(default_factory=time.monotonic)
    up: bool = False

    @property
    def config(self) -> LocalConfig:
        return self.options.config

    async def until_stopped(self) -> int:
        with cancelled_by_signals(on_signal=self._say_stopping) as request:
            try:
                async with Supervisor(logs=self.config.logs) as supervisor:
                    code = await self._work(supervisor)
            except asyncio.CancelledError:
                code = self._code_of(request)
            except ServiceError as fault:
                self.account.failed(fault.name, str(fault))
                lost_race = isinstance(fault, ServiceEndedError) and fault.exit_code == PORT_TAKEN
                code = PORT_TAKEN if lost_race else FAILED
        with suppress(OSError):
            self.account.line("Everything that was started has ended.")
        return code

    async def _work(self, supervisor: Supervisor) -> int:
        await self._start(supervisor)
        if not self.options.functions:
            self._tell_what_next()
        else:
            passed = await supervisor.watch(self._check())
            if self.options.check:
                return OK if passed else FAILED
            if not passed:
                self.account.line("Everything stays up all the same, for you to look at.")
            self._tell_how_to_connect()
        self.account.heading("Running. Ctrl-C stops everything.")
        self.up = True
        log = self.config.logs / "functions.log"
        await supervisor.watch(tell_restarts(log, self.account) if self.options.watch else asyncio.Event().wait())
        return OK

    async def _start(self, supervisor: Supervisor) -> None:
        account, options = self.account, self.options
        account.heading("Starting")
        settings = self.settings
        backing = stand_ins(settings, directory=options.directory)
        viewer = [traces_viewer(settings)] if options.trace else []
        await supervisor.start(*backing, *viewer, on_ready=self._tell_ready)
        if options.functions:
            host = functions_host(settings, kind=options.host, watch=options.watch, traced=options.trace)
            await supervisor.start(host, on_ready=self._tell_ready)
            account.line(f"Settings: {settings.file.name}")
            if settings.ignored:
                account.line(f"Not taken from your shell: {', '.join(settings.ignored)}")

    def _tell_ready(self, name: str, seconds: float) -> None:
        detail = f"{addresses(self.config)[name]}, log in {from_repository(self.config.logs / f'{name}.log')}"
        self.account.done(TITLES[name], detail, seconds=seconds, width=TITLE_WIDTH)

    async def _check(self) -> bool:
        account = self.account
        verifies = self.settings.verifies
        if not verifies and not self.settings.signs_in_locally:
            account.heading("Sign-in")
            account.line(f"{self.settings.file.name} names an Entra ID other than the local one, where only a person")
            account.line("can sign in: no check was made.")
            return False
        from local.check.run import check_log

        heading = "A real MCP client signs in and calls the tools"
        account.heading("AUTH_MODE is verify: there is nothing to sign in to at this server" if verifies else heading)
        log = self.config.logs / "check.log"
        try:
            await (self._check_tokens(log) if verifies else self._check_sign_in(log))
            if self.options.host == "local":
                await check_log(self.config.local_url)
        except CheckFailedError as fault:
            account.failed(fault.step, fault.reason)
            for name in ("functions", "entra", "check"):
                file = self.config.logs / f"{name}.log"
                tail = tail_of(file)
                if tail:
                    account.line(f"The end of {from_repository(file)}:")
                    account.text(tail)
            return False
        account.line(f"All of it worked, {time.monotonic() - self.began:.0f} s after the start.", style="green")
        return True

    async def _check_sign_in(self, log: Path) -> None:
        from local.check.run import check_server

        kept = self.config.home / "check-client" / "sign-in"
        url = f"{self.config.base_url}/mcp"
        _, person = self._first()
        await check_server(
            url, person=person.name, kept=kept, log=log, report=self.account, shortcuts=self.config.shortcuts
        )

    async def _check_tokens(self, log: Path) -> None:
        """Without a sign-in: with a token of the stand-in, or by readiness alone where the server trusts another."""
        from local.check.run import check_token, why_not_ready

        url, config = f"{self.config.local_url}/mcp", self.config
        if self.settings.trusts_local_entra:
            entra, ca = f"https://{config.entra_authority}", config.tls / "ca.pem"
            account, _ = self._first()
            await check_token(url, account=account, entra=entra, ca=ca, log=log, report=self.account)
        elif notice := await why_not_ready(url):
            raise CheckFailedError("readiness", notice)
        else:
            self.account.done("readiness", "it trusts another Entra ID: only readiness was checked")

    def _first(self) -> tuple[str, Person]:
        tenant, file = self.settings.tenant, from_repository(self.options.directory)
        if (found := self.directory.first(tenant)) is None:
            raise CheckFailedError("account", f"{file} has nobody who can sign in with ENTRA_TENANT_ID={tenant}")
        return found

    def _tell_how_to_connect(self) -> None:
        if self.settings.verifies:
            self.account.heading(f"Clients of {self.config.base_url}/mcp send a token of Entra ID as bearer token")
            return
        from app.server import server
        from entra_mcp.web.connect import connection_guides

        account = self.account
        url = f"{self.config.base_url}/mcp"
        account.heading(f"Connect your own client to {url}")
        if self.config.forwarded:
            ports = self.config.ports
            account.line(f"This is a forwarded port. For a client outside this codespace make {ports.functions} and")
            account.line(f"{ports.sign_in} public in the Ports view, which lets anybody in who has the address.")
        name = self.settings.values.get("MCP_SERVER_NAME") or server.name
        for guide in connection_guides(url, name):
            account.line()
            account.line(f"{guide.client}: {guide.where}")
            account.paste(guide.text)

    def _tell_what_next(self) -> None:
        account = self.account
        account.heading("Now run the app with Azure Functions Core Tools, in another terminal")
        account.line("Copy the settings (once), then start the host:")
        port = self.config.ports.functions
        account.paste(f"cp {SAMPLE} {OWN}\nfunc start" + ("" if port == Ports().functions else f" --port {port}"))
        account.line("Core Tools runs the Python of the active environment: activate .venv first.")
        if self.settings.overrides:
            account.line("Your ports or your shell differ from what that file says; set these variables for func:")
            account.paste("\n".join(f"{name}={value}" for name, value in self.settings.overrides.items()))

    def _say_stopping(self, signal: Signals) -> None:
        with suppress(OSError):
            self.account.heading(f"Stopping ({signal.name})")

    def _code_of(self, request: StopRequest) -> int:
        if request.received is None:
            raise asyncio.CancelledError
        return OK if self.up else SIGNALLED + request.received
