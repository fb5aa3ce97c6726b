"""The settings: judged by the server's own code, and compared with what they have to agree with."""

from __future__ import annotations

from typing import TYPE_CHECKING, override
from urllib.parse import urlsplit

from ops.clouds import is_loopback
from ops.environment import CLIENT_ID, FUNCTION_APP, RESOURCE_GROUP

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

    from entra_mcp.errors import SettingFault
    from ops.command import Context
    from ops.doctor.facts import Facts


def examine(context: Context, facts: Facts) -> None:
    """Each faulty setting, by name; never a value."""
    hosts = facts.host_names
    given = {**({"WEBSITE_HOSTNAME": hosts[0]} if hosts else {}), **facts.settings}
    faults = faults_of(given)
    for fault in faults:
        context.report.finding("settings", str(fault), remedy=how_to_set(context, fault.setting, "<value>"))
    known = context.environment.get(CLIENT_ID)
    if facts.site and known and facts.client_id and facts.client_id != known:
        context.report.finding(
            "settings",
            "ENTRA_CLIENT_ID of the app is not the registration that azd knows",
            remedy=how_to_set(context, "ENTRA_CLIENT_ID", known),
        )
        return
    host = urlsplit(facts.base_url).hostname or ""
    if hosts and host not in hosts and not is_loopback(host):
        context.report.finding(
            "settings",
            f"MCP_BASE_URL names {host}, which is not a host name of the app ({', '.join(hosts)})",
            remedy=f"az functionapp config hostname add {_app(context)} --hostname {host}\n"
            "or without a domain of your own: " + how_to_set(context, "MCP_BASE_URL", f"https://{hosts[0]}"),
        )
        return
    if not faults:
        context.report.ok("settings", f"valid, {len(facts.settings)} of them, AUTH_MODE {facts.auth_mode}")


def faults_of(values: Mapping[str, str]) -> tuple[SettingFault, ...]:
    """What the server would say of these settings alone, whatever this process's environment holds."""
    from pydantic_settings import InitSettingsSource

    from entra_mcp.errors import SettingsError
    from entra_mcp.settings import Settings

    class Given(Settings):
        """The server's settings, read from a mapping."""

        @classmethod
        @override
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            given = {name: value for name, value in values.items() if value}
            return (InitSettingsSource(settings_cls, init_kwargs=given),)

    try:
        Given.load()
    except SettingsError as error:
        return error.faults
    return ()


def how_to_set(context: Context, name: str, value: str) -> str:
    """The command that changes an app setting where the server runs."""
    if not context.environment.has(FUNCTION_APP):
        return f"set {name} in local.settings.json to {value}; docs/settings.md describes it"
    return f"az functionapp config appsettings set {_app(context)} --settings {name}={value}"


def _app(context: Context) -> str:
    environment = context.environment
    return f"--name {environment.get(FUNCTION_APP)} --resource-group {environment.get(RESOURCE_GROUP)}"
