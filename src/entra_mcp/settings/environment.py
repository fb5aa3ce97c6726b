"""Settings that are read from the environment: an empty variable counts as absent, a fault never shows a value."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Self, override

from pydantic import AliasGenerator, ValidationError, field_validator
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from entra_mcp.errors import SettingFault, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

OURS = ("MCP_", "ENTRA_")
"""How the names of the engine's own variables begin."""


class EnvironmentSettings(BaseSettings):
    """One frozen object. A field that depends on another is declared after it, and reports its own fault."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="ignore",
        env_ignore_empty=True,
        case_sensitive=True,
        hide_input_in_errors=True,
        validate_default=True,
    )

    @classmethod
    def load(cls) -> Self:
        """Reads the environment.

        Raises:
            SettingsError: with every fault, by the name of its environment variable and without its value.
        """
        try:
            return cls()
        except ValidationError as error:
            names = {name: str(field.validation_alias) for name, field in cls.model_fields.items()}
            faults = [
                SettingFault(
                    setting=names.get(str(fault["loc"][0]), str(fault["loc"][0])),
                    problem=fault["msg"].removeprefix("Value error, "),
                )
                for fault in error.errors(include_url=False, include_context=False, include_input=False)
            ]
            raise SettingsError(faults) from None

    @classmethod
    def names(cls) -> set[str]:
        """The environment variables that are read."""
        return {str(field.validation_alias) for field in cls.model_fields.values()}

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_placeholders(cls, value: Any) -> Any:  # noqa: ANN401 - the raw value of any field
        if not isinstance(value, str):
            return value
        if "@Microsoft.KeyVault(" in value:
            raise ValueError("is a Key Vault reference that was not resolved")
        if value.startswith("<") and value.endswith(">"):
            raise ValueError("is still a placeholder")
        return value.strip()


class AppSettings(EnvironmentSettings):
    """Base of an app's own settings: the field `orders_url` is the environment variable `ORDERS_URL`."""

    model_config = SettingsConfigDict(alias_generator=AliasGenerator(validation_alias=str.upper))


def load[Engine: EnvironmentSettings, App: EnvironmentSettings](
    engine: type[Engine], app: type[App]
) -> tuple[Engine, App]:
    """Reads both from the environment.

    Raises:
        SettingsError: with every fault of both.
    """
    faults: list[SettingFault] = []
    found: list[Any] = []
    for each in (engine, app):
        try:
            found.append(each.load())
        except SettingsError as error:
            faults += error.faults
    if faults:
        raise SettingsError(faults)
    return found[0], found[1]


def faults_of(values: Mapping[str, str], *kinds: type[EnvironmentSettings]) -> tuple[SettingFault, ...]:
    """What would be reported of these variables alone, whatever this process's own environment has."""
    given = {name: value for name, value in values.items() if value}
    faults: list[SettingFault] = []
    for kind in kinds:

        class Given(kind):
            """The settings, read from a mapping."""

            @classmethod
            @override
            def settings_customise_sources(
                cls, settings_cls: type[BaseSettings], *_: PydanticBaseSettingsSource, **__: PydanticBaseSettingsSource
            ) -> tuple[PydanticBaseSettingsSource, ...]:
                return (InitSettingsSource(settings_cls, init_kwargs=given),)

        try:
            Given.load()
        except SettingsError as error:
            faults += error.faults
    return tuple(faults)


def unknown_names(present: Iterable[str], known: Iterable[str]) -> list[str]:
    """What to say of each variable that is named like the engine's and read by nobody: perhaps a name is misspelt."""
    known = set(known)
    notices: list[str] = []
    for name in sorted(set(present) - known):
        if name.startswith(OURS):
            near = get_close_matches(name, known, n=1)
            notices.append(f"{name} is no setting{f': did you mean {near[0]}?' if near else '.'}")
    return notices
