"""The command line: built from the subcommands, the same options and exit codes for all."""

from __future__ import annotations

import argparse
import os
import sys
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from ops.command import Command, Context, Services
from ops.commands import load
from ops.credentials import developer_credential
from ops.deployment import completed, with_remembered
from ops.environment import ADDRESSES, ENVIRONMENT_NAME, Environment, azd_folder, azd_values
from ops.errors import OpsError, UsageError
from ops.http import Patience
from ops.report import Report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from azure.core.credentials import TokenCredential

ROOT = Path(__file__).resolve().parent.parent
FAILED = 1
INTERRUPTED = 130

EPILOG = """\
exit codes: 0 all is well, 1 something was found or failed, 2 wrong usage or an input is missing.

Inputs come from options, from environment variables, or from azd's environment in .azure: that of AZURE_ENV_NAME, else
azd's default one. With --environment they come from options and from that environment; variables count beside it only
where AZURE_ENV_NAME is its name too. Requests to Azure are made as whoever is signed in to azd, else to the Azure
CLI."""


def run(
    arguments: Sequence[str],
    *,
    variables: Mapping[str, str] | None = None,
    credential: Callable[[str], TokenCredential] = developer_credential,
    out: TextIO | None = None,
    sleep: Callable[[float], None] = time.sleep,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    root: Path = ROOT,
) -> int:
    """Runs the command line `arguments`; the exit code."""
    try:
        options = parser_of(load()).parse_args(arguments)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else FAILED
    command: Command = options.command
    report = Report(_standard_output() if out is None else out)
    process = os.environ if variables is None else variables
    try:
        environment = _environment(command, options, process, root=root)
        environment.require(*command.needs)
        patience = Patience(sleep=sleep, say=report.step)
        with closing(Services(environment, credential=credential, patience=patience)) as services:
            return command.run(
                Context(
                    environment=environment,
                    options=options,
                    report=report,
                    services=services,
                    now=now,
                    root=root,
                    process=process,
                )
            )
    except OpsError as error:
        report.text(f"\n{command.name} failed. {error}")
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output is gone; Python's own flush at the end must not complain again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


def _standard_output() -> TextIO:
    """What a pipe's encoding cannot say, a subscription's name for instance, is escaped: it must not end a command."""
    # Whoever put something else there, a test for instance, has seen to it.
    if reconfigure := getattr(sys.stdout, "reconfigure", None):
        reconfigure(errors="backslashreplace")
    return sys.stdout


def parser_of(commands: Iterable[Command]) -> argparse.ArgumentParser:
    """What takes every command line of the tool."""
    top = argparse.ArgumentParser(
        prog="python -m ops",
        description="Everything that is done to a deployment of this server.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    subparsers = top.add_subparsers(metavar="command", required=True)
    for command in commands:
        parser = subparsers.add_parser(
            command.name,
            help=command.summary,
            description=command.description,
            epilog="\n\n".join(part for part in (command.examples, EPILOG.partition("\n\n")[0]) if part),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        parser.set_defaults(command=command)
        command.add_arguments(parser)
        inputs = parser.add_argument_group("inputs", "each is also an environment variable")
        inputs.add_argument("--environment", metavar="NAME", help="which of azd's environments to read")
        for item in (*command.needs, *command.takes):
            required = " (needed)" if item in command.needs else ""
            inputs.add_argument(item.flag, dest=item.name, metavar="VALUE", help=f"{item.name}: {item.what}{required}")
    return top


def _environment(
    command: Command, options: argparse.Namespace, process: Mapping[str, str], *, root: Path
) -> Environment:
    """Options first; then azd's environment if it was named, else the process's variables and azd's own environment.

    Raises:
        UsageError: azd has no environment of the name that was given.
    """
    given = {
        item.name: value
        for item in (*command.needs, *command.takes)
        if (value := getattr(options, item.name)) is not None
    }
    known = {name: value for name, value in process.items() if value.strip()}
    named: str | None = options.environment
    if named:
        folder = azd_folder(root, named)
        if folder is None or not (folder / ".env").is_file():
            raise UsageError(f"azd has no environment {named!r} in {root}. `azd env list` shows those it has.")
        if known.get(ENVIRONMENT_NAME.name) != named:
            # They say what another deployment is: mixed with this one's, they would have a command delete that.
            known = {item.name: known[item.name] for item in ADDRESSES if item.name in known}
        environment = Environment({**known, **azd_values(folder), ENVIRONMENT_NAME.name: named, **given})
    else:
        # A hook runs for the environment of its variable, which need not be azd's default one.
        folder = azd_folder(root, known.get(ENVIRONMENT_NAME.name, ""))
        environment = Environment({**azd_values(folder), **known, **given})
    if command.after_down:
        environment = with_remembered(environment, root=root)
    return completed(environment, with_group=not command.before_up)
