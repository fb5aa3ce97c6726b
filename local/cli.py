"""The command line of `python -m local`: reads it, has the environment built, and hands over to the command."""

from __future__ import annotations

import argparse
import errno
import os
import signal
import sys
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.options import add_options
from local import tasks
from local.config import PORT_PURPOSES, REPOSITORY, LocalConfig, Ports, codespace_name, port_flag
from local.exit_codes import FAILED, OK, SIGNALLED, USAGE
from local.fork import AUTH_MODES, TENANTS, Answers, new, origin, upgrade
from local.new_tool import new_tool
from local.processes.signals import TerminatedError, raised_by_signals
from local.progress import CommandError, say
from local.setup.chromium import ensure_chromium
from local.setup.environment import Environment
from local.suites import clients, conformance

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

EPILOG = """\
exit codes: 0 all is well, 1 a check or a test failed or a service ended, 2 wrong usage or something to install is
missing, 3 a port is taken; 128 + the signal's number when stopped before the work was done.

With make:
  make run [CHECK=1] [WATCH=1] [TRACE=1] [HOST=func] [PORT=N] [another port, see below]
  make services [PORT=N] [another port]     make test [FAST=1] [ARGS="tests/ops -x"]  make test-long
  make check    make docs                   make test-clients [RECORD=1] [ARGS="codex gemini"]
  make bench    [PART="calls cpu"] [COMPARE=FILE] [RECORD=1] [ARGS="--rounds 3"]
  make conformance [NODE=/path/to/node]     make tool NAME=find_order          make lock [UPGRADE=1]
  make new [NAME="Order desk"]              make upgrade [VERSION=v0.3.0]
  make setup                                make clean [ALL=1]
  ports: PORT (the server), BLOB_PORT, QUEUE_PORT, TABLE_PORT, ENTRA_PORT, SIGN_IN_PORT, VAULT_PORT, TRACES_PORT

Without make `python -m local ...` does the same; `python -m local run --help` lists every option and default."""

UPGRADES_FROM = "Where upgrades come from (the template's address, not your own repository's)"

COMMANDS = {
    "run": "start everything, sign in with a real MCP client, call the tools, and stay up",
    "services": "start only Azurite and the stand-ins for Entra ID and Key Vault, for `func start`",
    "test": "run the tests in parallel; further arguments go to pytest",
    "clients": "run real MCP clients, from npm and PyPI, against the server; they need 2 GB",
    "bench": "measure this server beside FastMCP's own, and show the ratios",
    "check": "lint, formatting, types, and in the template the readability of the documents",
    "docs": "build the documents as a site into .local/site",
    "conformance": "run the conformance suite of the Model Context Protocol against the server; needs Node 22",
    "new": "make this copy of the template yours: its name, how people sign in, samples or none",
    "upgrade": "merge a newer version of the template into your fork",
    "tool": "create a tool that works, with its test",
    "lock": "write the locked files again from pyproject.toml, src/app/requirements.in and package.json",
    "setup": "only build .venv and node_modules, with all that the tests need",
    "clean": "remove caches; with --all also .venv, node_modules and the local data",
}
NEEDS_NODE = {"run", "services", "test", "clients", "bench", "conformance", "setup"}
NEEDS_DEV = {"test", "clients", "bench", "check", "docs", "conformance", "upgrade", "lock", "setup"}
NEEDS_NOTHING = {"clean", "new", "tool"}


def main(arguments: Sequence[str]) -> int:
    """Run the command line `arguments`; the exit code."""
    options, rest = _parse(arguments)
    environment = Environment(root=REPOSITORY)
    try:
        with raised_by_signals():
            return _carry_out(arguments, options, rest, environment)
    except CommandError as fault:
        sys.stderr.write(f"{fault}\n")
        return USAGE
    except TerminatedError as stop:
        return SIGNALLED + stop.received
    except KeyboardInterrupt:
        return SIGNALLED + signal.SIGINT
    except BrokenPipeError:
        # Whoever read the output is gone (`make run | head`); Python's own flush at the end must not complain again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as fault:
        if fault.errno not in {errno.EACCES, errno.EPERM, errno.EROFS}:
            raise
        sys.stderr.write(_not_allowed(fault))
        return USAGE


def _carry_out(arguments: Sequence[str], options: argparse.Namespace, rest: list[str], environment: Environment) -> int:
    if options.command not in NEEDS_NOTHING:
        environment.ensure(node=options.command in NEEDS_NODE, dev=options.command in NEEDS_DEV)
        if not environment.is_current():
            return environment.enter(arguments)
    return _dispatch(options, rest, environment)


def _not_allowed(fault: OSError) -> str:
    return (
        f"{fault.filename or 'A file of this checkout'} cannot be written ({fault.strerror}). "
        "Make it yours, or work in a checkout that is; run and services also take another --home.\n"
    )


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(
        prog="python -m local",
        description="Everything a laptop does with this project. The first command builds the environment it needs.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(dest="command", metavar="command", required=True)
    made = {
        name: commands.add_parser(name, help=what, description=what[0].upper() + what[1:] + ".")
        for name, what in COMMANDS.items()
    }
    _add_places(made["services"])
    made["services"].set_defaults(host="local", check=False, watch=False, trace=False, settings=None)
    _add_places(made["run"])
    made["run"].add_argument("--check", action="store_true", help="end after the check: 0 if it passed, 1 if not")
    made["run"].add_argument("--watch", action="store_true", help="restart the local host when a source file changes")
    made["run"].add_argument("--trace", action="store_true", help="collect traces and metrics, and show them")
    made["run"].add_argument(
        "--host", choices=("local", "func"), default="local", help="the Functions host: local (default) or Core Tools"
    )
    made["run"].add_argument(
        "--settings",
        type=_file,
        metavar="FILE",
        help="the app's settings (default: local.settings.json if there is one, else local.settings.sample.json)",
    )
    made["test"].add_argument("--fast", action="store_true", help="only the tests that start no process")
    made["test"].epilog = "example: python -m local test tests/engine/unit -k settings -x"
    _add_clients(made["clients"])
    add_options(made["bench"])
    made["conformance"].add_argument("--node", metavar="PATH", help="Node 22 or newer (default: node on PATH)")
    _add_answers(made["new"])
    made["upgrade"].add_argument("--version", metavar="TAG", help="a tag of the template (default: its newest)")
    made["tool"].add_argument("name", metavar="NAME", help="its name, such as find_order")
    made["lock"].add_argument("--upgrade", action="store_true", help="take the newest versions that are allowed")
    made["clean"].add_argument("--all", action="store_true", help="also .venv, node_modules and .local")
    return top


def _parse(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    top = parser()
    options, rest = top.parse_known_args(arguments)
    if options.command in {"test", "bench"}:
        # Whatever follows is pytest's, in its own order, or that of `python -m bench`.
        return options, list(arguments)[list(arguments).index(options.command) + 1 :]
    if rest:
        top.error(f"unrecognized arguments: {' '.join(rest)}")
    if options.command in {"run", "services"}:
        _refuse_shared_ports(top, _config(options).ports)
        if options.watch and options.host == "func":
            top.error("--watch is the local host's; Core Tools watches by itself")
        if options.settings and options.host == "func":
            top.error("--settings is the local host's; Core Tools always reads local.settings.json")
    return options, []


def _add_places(command: argparse.ArgumentParser) -> None:
    defaults = Ports()
    ports = command.add_argument_group("ports, all on loopback")
    for name, what in PORT_PURPOSES.items():
        told = f"{what} (default %(default)s)"
        ports.add_argument(port_flag(name), type=_port, default=getattr(defaults, name), metavar="N", help=told)
    command.add_argument(
        "--home",
        type=lambda text: Path(text).resolve(),
        default=LocalConfig().home,
        metavar="DIR",
        help="keeps data, certificates and logs (default .local)",
    )
    command.add_argument(
        "--directory", type=_file, metavar="FILE", help="accounts, groups and other APIs (default local.directory.json)"
    )


def _add_clients(command: argparse.ArgumentParser) -> None:
    command.epilog = "example: python -m local clients codex gemini"
    command.add_argument("--record", action="store_true", help="record what happened, and write docs/clients.md again")
    command.add_argument("names", nargs="*", metavar="NAME", help="only clients with one of these in their name")


def _add_answers(command: argparse.ArgumentParser) -> None:
    command.epilog = "What is not given is asked for."
    command.add_argument("--name", help="the server's name, as people see it when they sign in")
    command.add_argument("--auth-mode", choices=AUTH_MODES, help="how people sign in (docs/settings.md)")
    command.add_argument("--tenants", choices=TENANTS, help="whose accounts may sign in")
    command.add_argument("--samples", action=argparse.BooleanOptionalAction, help="keep the sample tools")
    command.add_argument("--licence-holder", metavar="NAME", help="who holds the licence; empty keeps the line")
    command.add_argument("--template", metavar="URL", help="where upgrades come from (default: git's origin)")
    command.add_argument("--copied", action="store_true", help="Copier has made this copy and keeps the answers itself")


def _port(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text} is no port; it must be a number from 1 to 65535")
    return int(text)


def _file(text: str) -> Path:
    if not Path(text).is_file():
        raise argparse.ArgumentTypeError(f"{text} is no file")
    return Path(text).resolve()


def _config(options: argparse.Namespace) -> LocalConfig:
    ports = {field.name: getattr(options, f"{field.name}_port") for field in fields(Ports)}
    return LocalConfig(ports=Ports(**ports), home=options.home, forwarded=codespace_name(os.environ))


def _refuse_shared_ports(top: argparse.ArgumentParser, ports: Ports) -> None:
    chosen: dict[int, str] = {}
    for field in fields(Ports):
        flag = port_flag(field.name)
        number: int = getattr(ports, field.name)
        if number in chosen:
            top.error(f"{chosen[number]} and {flag} are both {number}; each needs a port of its own")
        chosen[number] = flag


def _dispatch(options: argparse.Namespace, rest: list[str], environment: Environment) -> int:
    root = environment.root
    commands: dict[str, Callable[[], int]] = {
        "run": lambda: _run(options),
        "services": lambda: _run(options),
        "test": lambda: _test(rest, environment),
        "clients": lambda: clients(root, options.names, record=options.record, chromium=_chromium(environment)),
        "bench": lambda: tasks.bench(root, rest),
        "check": lambda: tasks.check(root),
        "docs": lambda: tasks.docs(root),
        "conformance": lambda: conformance(root, node=options.node),
        "new": lambda: _new(options, root),
        "upgrade": lambda: upgrade(root, version=options.version, copier=(str(environment.python), "-m", "copier")),
        "tool": lambda: new_tool(root, options.name),
        "lock": lambda: tasks.lock(root, upgrade=options.upgrade),
        "setup": _setup,
        "clean": lambda: tasks.clean(root, everything=options.all),
    }
    return commands[options.command]()


def _setup() -> int:
    say("Everything is installed.")
    return OK


def _test(arguments: list[str], environment: Environment) -> int:
    chromium = _chromium(environment) if tasks.wants_browser(arguments) else None
    return tasks.test(environment.root, arguments, chromium=chromium)


def _chromium(environment: Environment) -> Path:
    return ensure_chromium(logs=environment.logs, python=environment.python)


def _new(options: argparse.Namespace, root: Path) -> int:
    answers = Answers(
        server_name=_answer(options.name, "The server's name"),
        auth_mode=_answer(options.auth_mode, f"How people sign in ({', '.join(AUTH_MODES)})", default="proxy"),
        tenants=_answer(options.tenants, f"Whose accounts may sign in ({', '.join(TENANTS)})", default="one"),
        samples=_keeps_samples(options.samples),
        licence_holder=_answer(options.licence_holder, "Who holds the licence (empty keeps the line)", default=""),
    )
    template = None if options.copied else options.template or _answer(None, UPGRADES_FROM, default=origin(root))
    return new(root, answers, template=template)


def _answer(given: Any, question: str, *, default: str | None = None) -> Any:  # noqa: ANN401 - as the option has it
    """What was given on the command line, else at the prompt; without a terminal, the default."""
    if given is not None:
        return given
    if not sys.stdin.isatty():
        if default is None:
            raise CommandError(f"{question} is missing: give it as an option, see python -m local new --help.")
        return default
    try:
        answer = input(f"{question}{f' [{default}]' if default else ''}: ").strip()
    except EOFError:
        raise CommandError("\nNothing was changed: the input ended before every question was answered.") from None
    return answer or default or ""


def _keeps_samples(given: bool | None) -> bool:
    words = {"true": True, "yes": True, "y": True, "false": False, "no": False, "n": False}
    answer = str(_answer(given, "Keep the sample tools (yes, no)", default="yes")).casefold()
    if answer not in words:
        raise CommandError(f"Nothing was changed: {answer!r} is neither yes nor no.")
    return words[answer]


def _run(options: argparse.Namespace) -> int:
    # The account of a run shows how to connect clients, which the app itself knows.
    sys.path.insert(0, str(REPOSITORY / "src"))
    from local.run import RunOptions, run

    return run(
        RunOptions(
            config=_config(options),
            directory=options.directory or REPOSITORY / "local.directory.json",
            functions=options.command == "run",
            host=options.host,
            check=options.check,
            watch=options.watch,
            trace=options.trace,
            settings=options.settings,
        )
    )
