"""The directory that the Entra ID stand-in plays: accounts, groups and other APIs, from `local.directory.json`.

A fork owns that file; docs/local.md describes it. Without it there is one ordinary user and no other API.
"""

from __future__ import annotations

import json
import uuid
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, cast

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

FILE = "local.directory.json"
SIGN_IN, GRAPH = "sign-in", "graph"
"""Where an account may meet a fault, besides the APIs of the file."""
ADMITTED = {"organizations": {"home", "other"}, "consumers": {"personal"}}
"""Whose accounts a server admits that is not for one tenant, by what ENTRA_TENANT_ID says."""

Key = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,39}$")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Scope = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,120}$")]
Role = Annotated[str, StringConstraints(pattern=r"^[^\s/]{1,120}$")]
Guid = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]


class DirectoryError(Exception):
    """A directory file that cannot be used; carries every fault, each with its path in the file."""

    def __init__(self, file: Path, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        count = "1 fault" if len(self.faults) == 1 else f"{len(self.faults)} faults"
        super().__init__("\n".join([f"{file} has {count}; docs/local.md describes it.", *self.faults]))


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Assigned(_Part):
    """Somebody to whom app roles are assigned."""

    roles: tuple[Role, ...] = Field(default=(), description="App roles of this server.")
    api_roles: dict[str, tuple[Role, ...]] = Field(default={}, description="App roles of other APIs, by the API's key.")

    @field_validator("api_roles")
    @classmethod
    def _declared(cls, value: dict[str, tuple[str, ...]], info: ValidationInfo) -> dict[str, tuple[str, ...]]:
        known = _Known.of(info).app_roles
        _refuse(
            [((api,), _unknown("API", api, known)) for api in value if api not in known]
            + [
                ((api, place), _unknown(f"app role of {api}", role, known[api]))
                for api, roles in value.items()
                for place, role in enumerate(roles)
                if api in known and role not in known[api]
            ]
        )
        return value


class Group(_Assigned):
    """A group; who is in it has its app roles."""


class Person(_Assigned):
    """Somebody who can sign in."""

    name: Text = Field(description="Shown on the sign-in page; the first name and the last name.")
    username: Text | None = Field(default=None, description="The sign-in name; <key>@local.example unless given.")
    note: Text = Field(default="A user", description="What the account is for, on the sign-in page; the job in Graph.")
    object_id: Guid | None = Field(default=None, description="Derived from the key unless given.")
    tenant: Literal["home", "other", "personal"] = Field(
        default="home", description="The server's own tenant, another organization, or a personal Microsoft account."
    )
    groups: tuple[str, ...] = Field(default=(), description="Groups of this file.")
    faults: dict[str, int] = Field(
        default={},
        description="AADSTS codes by where they happen: `sign-in`; for tokens on the user's behalf `graph` or an API.",
    )

    @field_validator("groups")
    @classmethod
    def _in_file(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        known = _Known.of(info).groups
        _refuse(((place,), _unknown("group", group, known)) for place, group in enumerate(value) if group not in known)
        return value

    @field_validator("faults")
    @classmethod
    def _somewhere(cls, value: dict[str, int], info: ValidationInfo) -> dict[str, int]:
        known = (SIGN_IN, GRAPH, *_Known.of(info).app_roles)
        _refuse(((where,), _unknown("place of a fault", where, known)) for where in value if where not in known)
        return value

    def signs_in(self, tenant: str = "home") -> bool:
        """Whether this account can sign in to a server of the home tenant, `organizations` or `consumers`."""
        return self.tenant in ADMITTED.get(tenant, {"home"}) and SIGN_IN not in self.faults


class Collection(_Part):
    """A list that the stand-in of an API serves in pages."""

    scope: Scope = Field(description="The API's scope that reading it needs.")
    items: tuple[dict[str, Any], ...] = Field(description="JSON objects, each with an `id` of its own.")

    @field_validator("items")
    @classmethod
    def _identified(cls, value: tuple[dict[str, Any], ...]) -> tuple[dict[str, Any], ...]:
        counts = Counter(str(item.get("id", "")) for item in value)
        _refuse(
            ((place, "id"), "has to be a text that no other item has")
            for place, item in enumerate(value)
            if not isinstance(item.get("id"), str) or not item["id"] or counts[item["id"]] > 1
        )
        return value


class Api(_Part):
    """Another application that exposes an API."""

    identifier_uri: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9+.-]*://[^\s]*[^\s/]$")] | None = Field(
        default=None, description="The Application ID URI; api://<key> unless given."
    )
    client_id: Guid | None = Field(default=None, description="The application id. Derived from the key unless given.")
    token_version: Literal[1, 2] = Field(default=2, description="`requestedAccessTokenVersion` of its registration.")
    scopes: tuple[Scope, ...] = Field(description="Delegated permissions that it exposes.")
    app_roles: tuple[Role, ...] = Field(default=(), description="App roles that it defines.")
    admin_consent: bool = Field(
        default=False, description="Whether an administrator has consented for everybody; else each person does."
    )
    collections: dict[Key, Collection] = Field(default={}, description="What its stand-in serves, by path.")

    @field_validator("collections")
    @classmethod
    def _exposed(cls, value: dict[str, Collection], info: ValidationInfo) -> dict[str, Collection]:
        scopes: tuple[str, ...] | None = info.data.get("scopes")
        _refuse(
            ((name, "scope"), _unknown("scope of this API", collection.scope, scopes))
            for name, collection in value.items()
            if scopes is not None and collection.scope not in scopes
        )
        return value


class Directory(_Part):
    """The whole file, with what it does not give derived from the keys, the same in every run."""

    schema_: str = Field(default="", alias="$schema", description="Where an editor finds this description.")
    graph_scopes: tuple[Scope, ...] = Field(
        default=(), description="Permissions of Microsoft Graph besides the common ones and ENTRA_ADDITIONAL_SCOPES."
    )
    groups: dict[Text, Group] = Field(default={}, description="Groups by name.")
    apis: dict[Key, Api] = Field(default={}, description="Other APIs by key.")
    accounts: dict[Key, Person] = Field(
        default={"user": Person(name="Local User", note="An ordinary user")},
        min_length=1,
        validate_default=True,
        description="Accounts by key; `make run` signs in as the first that can.",
    )

    @field_validator("apis")
    @classmethod
    def _apis(cls, value: dict[str, Api]) -> dict[str, Api]:
        uris = {key: api.identifier_uri or f"api://{key}" for key, api in value.items()}
        ids = {key: api.client_id or _derived_id(f"API {key}") for key, api in value.items()}
        _refuse(
            [((key,), "is a word of the file's own; give the API another") for key in value if key in (SIGN_IN, GRAPH)]
            + _shared("API", "identifier_uri", uris)
        )
        return {
            key: api.model_copy(update={"identifier_uri": uris[key], "client_id": ids[key]})
            for key, api in value.items()
        }

    @field_validator("accounts")
    @classmethod
    def _accounts(cls, value: dict[str, Person]) -> dict[str, Person]:
        names = {key: person.username or f"{key}@local.example" for key, person in value.items()}
        ids = {key: person.object_id or _derived_id(f"account {key}") for key, person in value.items()}
        faults = _shared("account", "username", {key: name.lower() for key, name in names.items()})
        faults += _shared("account", "object_id", ids)
        if not any(person.signs_in() for person in value.values()):
            faults.append(((), "has nobody of the home tenant who can sign in"))
        _refuse(faults)
        return {
            key: person.model_copy(update={"username": names[key], "object_id": ids[key]})
            for key, person in value.items()
        }

    def first(self, tenant: str) -> tuple[str, Person] | None:
        """Key and account of the first who can sign in to a server with this ENTRA_TENANT_ID; None if nobody can."""
        return next(((key, person) for key, person in self.accounts.items() if person.signs_in(tenant)), None)


def load_directory(file: Path) -> Directory:
    """The directory in the file, or the one of a person alone when there is no file.

    Raises:
        DirectoryError: with every fault of the file.
    """
    try:
        text = file.read_text("utf-8-sig")
    except FileNotFoundError:
        return Directory()
    except UnicodeDecodeError:
        raise DirectoryError(file, ["It is not UTF-8; save it again as UTF-8."]) from None
    except OSError as error:
        raise DirectoryError(file, [f"It cannot be read: {error.strerror}."]) from None
    twice: list[str] = []

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        counts = Counter(name for name, _ in pairs)
        twice.extend(f'"{name}" is in one object {count} times' for name, count in counts.items() if count > 1)
        return dict(pairs)

    try:
        content = json.loads(text, object_pairs_hook=members)
    except ValueError as error:
        raise DirectoryError(file, [f"It is not JSON: {error}"]) from None
    try:
        directory = Directory.model_validate(content, context=_Known.in_file(content))
    except ValidationError as error:
        raise DirectoryError(file, [*twice, *_told(error)]) from None
    if twice:
        raise DirectoryError(file, twice)
    return directory


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """Names that other parts of the file may refer to, right or wrong as the file is."""

    groups: frozenset[str] = frozenset()
    app_roles: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    """The app roles of each API."""

    @classmethod
    def of(cls, info: ValidationInfo) -> Self:
        return cast("Self", info.context)

    @classmethod
    def in_file(cls, content: object) -> Self:
        apis = _members(_members(content).get("apis"))
        roles = {key: _members(api).get("app_roles") for key, api in apis.items()}
        return cls(
            groups=frozenset(_members(_members(content).get("groups"))),
            app_roles={
                key: frozenset(map(str, cast("list[object]", found))) if isinstance(found, list) else frozenset()
                for key, found in roles.items()
            },
        )


type _Fault = tuple[tuple[str | int, ...], str]
"""A path below the part that is looked at, and what is wrong there."""


def _members(value: object) -> dict[str, object]:
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}


def _refuse(faults: Iterable[_Fault]) -> None:
    errors = [
        InitErrorDetails(type=PydanticCustomError("directory", "{message}", {"message": message}), loc=path, input=None)
        for path, message in faults
    ]
    if errors:
        raise ValidationError.from_exception_data("directory", errors)


def _shared(what: str, field: str, values: Mapping[str, str]) -> list[_Fault]:
    """A fault for each of these values of a field, by key, that another has too."""
    counts = Counter(values.values())
    return [((key, field), f"is that of another {what}, too") for key, value in values.items() if counts[value] > 1]


def _unknown(what: str, name: str, known: Iterable[str] | None) -> str:
    there = ", ".join(sorted(known or ())) or "none"
    return f"There is no {what} called {name!r}; the file has: {there}"


def _told(error: ValidationError) -> list[str]:
    """Each fault as its path and a sentence."""
    sentences = {"missing": "is missing", "extra_forbidden": "is not a name that is known here"}
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    return [
        f"{'.'.join(map(str, fault['loc'])) or 'the file'}: {sentences.get(fault['type'], fault['msg'])}"
        for fault in faults
    ]


def _derived_id(name: str) -> str:
    """A GUID that is the same in every run."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{FILE} {name}"))
