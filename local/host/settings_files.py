"""Reads host.json and local.settings.json, and builds the environment of the function app from them."""

from __future__ import annotations

import json
import os
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, NonNegativeInt, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from local.host.errors import SettingsFileError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def _timespan(value: object) -> timedelta:
    match = re.fullmatch(r"(\d{1,2}):([0-5]?\d):([0-5]?\d)", value) if isinstance(value, str) else None
    if value == "-1":
        return timedelta.max
    if match is None:
        raise PydanticCustomError("timespan", 'has to look like "00:05:00"')
    hours, minutes, seconds = map(int, match.groups())
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)


Timespan = Annotated[timedelta, BeforeValidator(_timespan)]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, alias_generator=to_camel)


class QueueOptions(_Part):
    """https://learn.microsoft.com/azure/azure-functions/functions-bindings-storage-queue#hostjson-settings."""

    batch_size: int = Field(default=16, ge=1, le=32)
    new_batch_threshold: NonNegativeInt = Field(default_factory=lambda earlier: earlier["batch_size"] // 2)
    max_dequeue_count: NonNegativeInt = 5
    visibility_timeout: Timespan = timedelta(0)
    max_polling_interval: Timespan = timedelta(minutes=1)
    message_encoding: str = "base64"


class _Http(_Part):
    route_prefix: str = "api"


class _Extensions(_Part):
    http: _Http = _Http()
    queues: QueueOptions = QueueOptions()


class _Logging(_Part):
    log_level: dict[str, str] = {}


class HostConfig(_Part):
    """The parts of host.json that matter on a laptop, with the defaults of the real host."""

    version: object = None
    """Anything, as every wrong one has the same remedy."""
    function_timeout: Timespan = timedelta(minutes=30)
    extensions: _Extensions = _Extensions()
    logging: _Logging = _Logging()

    @property
    def route_prefix(self) -> str:
        return self.extensions.http.route_prefix.strip("/")

    @property
    def queues(self) -> QueueOptions:
        return self.extensions.queues

    @property
    def log_levels(self) -> dict[str, str]:
        """The least level of what is sent to Application Insights, by category."""
        return self.logging.log_level


class _LocalSettings(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)

    is_encrypted: object = Field(default=False, validation_alias="IsEncrypted")
    """Anything, as whatever is not false has the same remedy."""
    values: dict[str, str] = Field(default={}, validation_alias="Values")


def read_host_config(folder: Path) -> HostConfig:
    path = folder / "host.json"
    if not path.is_file():
        raise SettingsFileError(path, f"is missing in {folder}; a function app has one next to function_app.py.")
    config = _read(HostConfig, path)
    if config.version != "2.0":
        raise SettingsFileError(path, '"version" must be "2.0".')
    return config


def read_local_settings(path: Path, *, required: bool) -> dict[str, str]:
    """The `Values` of local.settings.json. A missing file is an empty one, unless it was asked for by name."""
    if not path.is_file():
        if required:
            raise SettingsFileError(path, f"does not exist in {path.parent}.")
        return {}
    settings = _read(_LocalSettings, path)
    if settings.is_encrypted:
        raise SettingsFileError(path, '"IsEncrypted" is true; run `func settings decrypt`, or set it to false.')
    if settings.values.get("FUNCTIONS_WORKER_RUNTIME", "python") != "python":
        raise SettingsFileError(
            path, '"Values.FUNCTIONS_WORKER_RUNTIME" must be "python"; this host runs nothing else.'
        )
    return settings.values


def environment(values: Mapping[str, str], *, host_name: str, watched: bool) -> dict[str, str]:
    """The app's environment: that of this process wins over the values of the file.

    A watched app keeps no bytecode: Python takes a file that was changed within the second, to the same length, for
    the one that it has compiled.
    """
    defaults = {
        "AZURE_FUNCTIONS_ENVIRONMENT": "Development",
        "FUNCTIONS_WORKER_RUNTIME": "python",
        "WEBSITE_HOSTNAME": host_name,
    }
    bytecode = {"PYTHONDONTWRITEBYTECODE": "1"} if watched else {}
    return {**defaults, **values, **os.environ, **bytecode, "PYTHONUNBUFFERED": "1"}


def _read[Model: BaseModel](model: type[Model], path: Path) -> Model:
    """SettingsFileError for the first fault, with its place, and never with a value."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise SettingsFileError(path, "is not UTF-8, which it must be; save it again as UTF-8.") from None
    except OSError as fault:
        raise SettingsFileError(path, f"cannot be read: {fault.strerror}.") from None
    try:
        json.loads(text)
        return model.model_validate_json(text)
    except json.JSONDecodeError as error:
        raise SettingsFileError(path, _why_not_json(text, error), line=error.lineno) from error
    except ValidationError as error:
        fault = error.errors()[0]
        place = f'"{".".join(map(str, fault["loc"]))}": ' if fault["loc"] else ""
        hint = "; put the value in double quotes" if fault["type"] == "string_type" else ""
        raise SettingsFileError(path, f"{place}{fault['msg']}{hint}.") from None


def _why_not_json(text: str, error: json.JSONDecodeError) -> str:
    rest = text[error.pos :].lstrip(" \t\r\n,")
    if rest.startswith(("//", "/*", "#")):
        return "a comment; JSON has none, remove it."
    if rest.startswith(("}", "]")):
        return "a comma without another entry behind it; remove the comma."
    return f"not JSON ({error.msg}, column {error.colno})."
