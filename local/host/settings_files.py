"""Reads host.json and local.settings.json, and builds the environment of the function app from them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from local.host.errors import SettingsFileError
from local.host.queues import QueueOptions

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

DEFAULT_FUNCTION_TIMEOUT = "00:30:00"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostConfig:
    """The parts of host.json that matter on a laptop."""

    route_prefix: str
    function_timeout: timedelta
    log_levels: dict[str, str]
    """The least level of what is sent to Application Insights, by category."""
    queues: QueueOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalSettings:
    """local.settings.json: `Values` become environment variables, `Host` is for the host itself."""

    values: dict[str, str] = field(default_factory=dict[str, str])
    port: int | None = None


def read_host_config(folder: Path) -> HostConfig:
    path = folder / "host.json"
    if not path.is_file():
        raise SettingsFileError(path, f"is missing in {folder}; a function app has one next to function_app.py.")
    document = _read_object(path)
    if document.get("version") != "2.0":
        raise SettingsFileError(path, '"version" must be "2.0".')
    prefix = _child(path, document, "extensions", "http").get("routePrefix", "api")
    if not isinstance(prefix, str):
        raise SettingsFileError(path, '"extensions.http.routePrefix" must be a string.')
    return HostConfig(
        route_prefix=prefix.strip("/"),
        function_timeout=_timespan(path, document.get("functionTimeout", DEFAULT_FUNCTION_TIMEOUT)),
        log_levels=_child(path, document, "logging", "logLevel"),
        queues=_queues(path, _child(path, document, "extensions", "queues")),
    )


def read_local_settings(path: Path, *, required: bool) -> LocalSettings:
    """A missing file is an empty one, unless it was asked for by name."""
    if not path.is_file():
        if required:
            raise SettingsFileError(path, f"does not exist in {path.parent}.")
        return LocalSettings()
    document = _read_object(path)
    if document.get("IsEncrypted"):
        raise SettingsFileError(path, '"IsEncrypted" is true; run `func settings decrypt`, or set it to false.')
    values = _child(path, document, "Values")
    for name, value in values.items():
        if not isinstance(value, str):
            raise SettingsFileError(path, f'"Values.{name}" must be a string; put the value in double quotes.')
    runtime = values.get("FUNCTIONS_WORKER_RUNTIME", "python")
    if runtime != "python":
        raise SettingsFileError(
            path, '"Values.FUNCTIONS_WORKER_RUNTIME" must be "python"; this host runs nothing else.'
        )
    port = _child(path, document, "Host").get("LocalHttpPort")
    if port is not None and (isinstance(port, bool) or not isinstance(port, int) or not 0 <= port <= 65535):
        raise SettingsFileError(path, '"Host.LocalHttpPort" must be a port number.')
    return LocalSettings(values=cast("dict[str, str]", values), port=port)


def environment(settings: LocalSettings, *, outer: Mapping[str, str], host_name: str, watched: bool) -> dict[str, str]:
    """The app's environment: what the real environment says wins over the file.

    A watched app keeps no bytecode: Python takes a file that was changed within the second, to the same length, for
    the one that it has compiled.
    """
    defaults = {
        "AZURE_FUNCTIONS_ENVIRONMENT": "Development",
        "FUNCTIONS_WORKER_RUNTIME": "python",
        "WEBSITE_HOSTNAME": host_name,
    }
    bytecode = {"PYTHONDONTWRITEBYTECODE": "1"} if watched else {}
    return {**defaults, **settings.values, **outer, **bytecode, "PYTHONUNBUFFERED": "1"}


def _queues(path: Path, found: dict[str, Any]) -> QueueOptions:
    """https://learn.microsoft.com/azure/azure-functions/functions-bindings-storage-queue#hostjson-settings."""
    batch_size = _count(path, found, "batchSize", 16)
    return QueueOptions(
        batch_size=batch_size,
        new_batch_threshold=_count(path, found, "newBatchThreshold", batch_size // 2),
        max_dequeue_count=_count(path, found, "maxDequeueCount", 5),
        visibility_timeout=_timespan(path, found.get("visibilityTimeout", "00:00:00"), "queues.visibilityTimeout"),
        max_polling_interval=_timespan(path, found.get("maxPollingInterval", "00:01:00"), "queues.maxPollingInterval"),
        message_encoding=str(found.get("messageEncoding", "base64")),
    )


def _count(path: Path, found: dict[str, Any], name: str, default: int) -> int:
    value = found.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise SettingsFileError(path, f'"extensions.queues.{name}" must be a number.')
    return value


def _read_object(path: Path) -> dict[str, Any]:
    text = path.read_text(encoding="utf-8-sig")
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise SettingsFileError(path, _why_not_json(text, error), line=error.lineno) from error
    if not isinstance(document, dict):
        raise SettingsFileError(path, "must hold one JSON object.")
    return cast("dict[str, Any]", document)


def _why_not_json(text: str, error: json.JSONDecodeError) -> str:
    rest = text[error.pos :].lstrip(" \t\r\n,")
    if rest.startswith(("//", "/*", "#")):
        return "a comment; JSON has none, remove it."
    if rest.startswith(("}", "]")):
        return "a comma without another entry behind it; remove the comma."
    return f"not JSON ({error.msg}, column {error.colno})."


def _child(path: Path, parent: dict[str, Any], *names: str) -> dict[str, Any]:
    for name in names:
        child: object = parent.get(name, {})
        if not isinstance(child, dict):
            raise SettingsFileError(path, f'"{name}" must be an object.')
        parent = cast("dict[str, Any]", child)
    return parent


def _timespan(path: Path, value: object, name: str = "functionTimeout") -> timedelta:
    match = re.fullmatch(r"(\d{1,2}):([0-5]?\d):([0-5]?\d)", value) if isinstance(value, str) else None
    if value == "-1":
        return timedelta.max
    if match is None:
        raise SettingsFileError(path, f'"{name}" must look like "00:05:00".')
    hours, minutes, seconds = map(int, match.groups())
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)
