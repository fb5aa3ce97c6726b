"""`python -m ops doctor`: what is wrong with a server, and how to fix it."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from entra_mcp.urls import is_loopback
from local.app_settings import load_settings
from local.host.errors import SettingsFileError
from ops import environment as inputs
from ops.aadsts import AADSTS, SIGN_IN_ADDRESS, parse_code
from ops.attempt import attempt
from ops.clouds import checked_address
from ops.command import Command
from ops.doctor import app, issuers, registration, roles, secrets, server, settings
from ops.doctor.facts import Facts, deployed_facts
from ops.errors import UsageError
from ops.refusals import REFUSALS
from ops.server_errors import SERVER_ERRORS

if TYPE_CHECKING:
    import argparse

    from ops.command import Context


def run(context: Context) -> int:
    """Explains a code, or examines a server."""
    if context.options.explain:
        return _explain(context, context.options.explain)
    given = (context.options.base_url or "").rstrip("/")
    if given:
        checked_address(inputs.BASE_URL.name, given)
    if given and is_loopback(given):
        _local(context, given)
    elif given and given != context.environment.get(inputs.BASE_URL).rstrip("/"):
        context.report.heading(f"{given}, from outside")
        server.examine(context, Facts(base_url=given))
        context.report.note("the rest", "is not looked at: MCP_BASE_URL does not say that this is azd's deployment")
    else:
        _deployed(context)
    findings = context.report.findings
    context.report.text(f"\n{findings} thing(s) to fix." if findings else "\nNothing found.")
    return 1 if findings else 0


def _deployed(context: Context) -> None:
    facts = deployed_facts(context)
    context.report.heading("Server")
    server.examine(context, facts)
    context.report.heading("Function app")
    attempt(context.report, "app", lambda: app.examine(context, facts))
    attempt(context.report, "settings", lambda: settings.examine(context, facts))
    attempt(context.report, "roles", lambda: roles.examine(context, facts))
    attempt(context.report, "identity assertions", lambda: issuers.examine(context, facts))
    context.report.heading("Registration and secrets")
    attempt(context.report, "registration", lambda: registration.examine(context, facts))
    attempt(context.report, "secrets", lambda: secrets.examine(context, facts))
    context.report.heading("Operation")
    attempt(context.report, "last purge", lambda: app.examine_purge(context))


def _local(context: Context, base_url: str) -> None:
    """A server on this machine, with the settings of this folder."""
    facts = Facts(base_url=base_url, settings=_local_settings(context))
    context.report.heading("Server")
    server.examine(context, facts)
    context.report.heading("Settings")
    attempt(context.report, "settings", lambda: settings.examine(context, facts))
    context.report.heading("Registration")
    if facts.signs_in_at_a_stand_in:
        context.report.note("registration", "Entra ID is the local stand-in, which has none to look at")
        return
    # The registration is that of the settings, whatever deployment azd knows of.
    own = {
        item.name: facts.settings.get(item.name, "")
        for item in (inputs.ENTRA_TENANT, inputs.AUTHORITY, inputs.GRAPH_URL)
    }
    environment = context.environment.with_values(own)
    with closing(context.services.of(environment)) as services:
        inside = replace(context, environment=environment, services=services)
        attempt(context.report, "registration", lambda: registration.examine(inside, facts))


def _local_settings(context: Context) -> dict[str, str]:
    try:
        return dict(load_settings(context.root).values)
    except SettingsFileError as error:
        raise UsageError(str(error)) from None


def _explain(context: Context, text: str) -> int:
    code = parse_code(text)
    if code is None and text in REFUSALS:
        context.report.text(f"{text}\n  {REFUSALS[text]}")
        return 0
    if code is None and (known := SERVER_ERRORS.get(text)):
        context.report.text(f"{text}, status {known.status}\n  means   {known.means}\n  do      {known.remedy}")
        return 0
    if code is None:
        raise UsageError(f"{text} is no code such as AADSTS65001. docs/errors lists those that are explained.")
    known = AADSTS.get(code)
    if known is None:
        context.report.text(f"AADSTS{code} is not explained here. Microsoft does: {SIGN_IN_ADDRESS}{code}")
        return 1
    context.report.text(
        f"AADSTS{code}\n  means   {known.means}\n  do      {known.remedy}\n"
        f"  page    docs/errors/AADSTS{code}.md\n  source  {SIGN_IN_ADDRESS}{code}"
    )
    return 0


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("base_url", nargs="?", help="address of a server; without it the deployment is examined")
    parser.add_argument("--explain", metavar="CODE", help="show what an error code means and what to do: AADSTS65001")


COMMAND = Command(
    name="doctor",
    summary="find what is wrong with a server, and show the fix; explain error codes",
    description=(
        "Without an address: the deployment that azd knows, from outside and from inside: settings, roles, "
        "issuers of identity assertions, registration, secrets, clocks, versions, the last purge. With an address on "
        "this machine: that server and the settings of this folder. With another address: what can be seen from "
        "outside. Changes nothing."
    ),
    takes=(
        inputs.TENANT,
        inputs.SUBSCRIPTION,
        inputs.RESOURCE_GROUP,
        inputs.FUNCTION_APP,
        inputs.VAULT_ID,
        inputs.STORAGE_ACCOUNT,
        inputs.CLIENT_ID,
        inputs.EXISTING_CLIENT_ID,
        inputs.API_PERMISSIONS,
        inputs.ENTRA_TENANT,
        inputs.BASE_URL,
        inputs.LOGS_URL,
        *inputs.ENDPOINTS,
    ),
    add_arguments=_add_arguments,
    examples=(
        "examples:\n  python -m ops doctor\n  python -m ops doctor http://localhost:7071\n"
        "  python -m ops doctor --explain AADSTS65001"
    ),
    run=run,
)
