"""The settings: judged by the server's own code, and compared with what they have to agree with."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from entra_mcp.urls import is_loopback
from ops.attempt import FoundError, expect
from ops.doctor.facts import app_options
from ops.documents import words
from ops.environment import CLIENT_ID

if TYPE_CHECKING:
    from collections.abc import Mapping

    from entra_mcp.errors import SettingFault
    from ops.command import Context
    from ops.doctor.facts import Facts


def examine(context: Context, facts: Facts) -> str | None:
    """Each faulty setting, and each that the server would warn of, by name; never a value."""
    from app.server import server
    from entra_mcp.settings import Settings, unknown_names

    hosts = words(facts.site, "properties", "hostNames")
    given = {**({"WEBSITE_HOSTNAME": hosts[0]} if hosts else {}), **facts.settings}
    faults = faults_of(given)
    for fault in faults:
        context.report.finding("settings", str(fault), remedy=how_to_set(context, facts, fault.setting, "<value>"))
    for notice in unknown_names(facts.settings, Settings.names() | server.settings.names()):
        context.report.finding("settings", notice, remedy=how_to_remove(context, facts, notice.split()[0]))
    known = context.environment.get(CLIENT_ID)
    expect(
        not (facts.site and known and facts.client_id) or facts.client_id == known,
        "ENTRA_CLIENT_ID of the app is not the registration that azd knows",
        remedy=how_to_set(context, facts, "ENTRA_CLIENT_ID", shlex.quote(known)),
    )
    host = urlsplit(facts.base_url).hostname or ""
    if hosts and host not in hosts and not is_loopback(facts.base_url):
        raise FoundError(
            f"MCP_BASE_URL names {host}, which is not a host name of the app ({', '.join(hosts)})",
            remedy=f"az functionapp config hostname add {app_options(context)} --hostname {shlex.quote(host)}\n"
            "or without a domain of your own: "
            + how_to_set(context, facts, "MCP_BASE_URL", shlex.quote(f"https://{hosts[0]}")),
        )
    return None if faults else f"valid, {len(facts.settings)} of them, AUTH_MODE {facts.auth_mode}"


def faults_of(values: Mapping[str, str]) -> tuple[SettingFault, ...]:
    """What the server would say of these settings: the engine's, and the app's own."""
    from app.server import server
    from entra_mcp import settings

    return settings.faults_of(values, settings.Settings, server.settings)


def how_to_set(context: Context, facts: Facts, name: str, value: str) -> str:
    """The command that changes an app setting where the server runs."""
    if not facts.site:
        return f"set {name} in local.settings.json to {value}; docs/settings.md describes it"
    return f"az functionapp config appsettings set {app_options(context)} --settings {name}={value}"


def how_to_remove(context: Context, facts: Facts, name: str) -> str:
    """The command that removes an app setting where the server runs."""
    if not facts.site:
        return f"remove {name} from local.settings.json, or give it the right name"
    return f"az functionapp config appsettings delete {app_options(context)} --setting-names {shlex.quote(name)}"
