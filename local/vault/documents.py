"""JSON in and out: secret bundles, list items, and the body that sets a secret."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field, ValidationError

from local.vault.errors import bad_parameter

if TYPE_CHECKING:
    from local.vault.state import SecretVersion

RETENTION_DAYS = 90
_NAME = re.compile(r"[0-9A-Za-z-]{1,127}")


class Attributes(BaseModel):
    """What a caller says of a secret's use; times are seconds since the epoch."""

    enabled: bool = True
    nbf: int | None = None
    exp: int | None = None


class SecretSet(BaseModel):
    """The body of PUT."""

    value: str = Field(max_length=25_600)
    content_type: str | None = Field(default=None, alias="contentType")
    tags: dict[str, str] = {}
    attributes: Attributes = Attributes()


def read_body(content: bytes) -> SecretSet:
    """A checked body; the message of a bad one names members, never their values."""
    try:
        return SecretSet.model_validate_json(content)
    except ValidationError as error:
        places = ", ".join(".".join(map(str, fault["loc"])) or "body" for fault in error.errors())
        raise bad_parameter(f"The request body is not valid: {places}.") from None


def checked_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise bad_parameter(
            f"The request URI contains an invalid name: {name}. A name has 1 to 127 letters, digits and dashes."
        )
    return name


def bundle(secret: SecretVersion, *, base: str) -> dict[str, Any]:
    """A secret with its value; `base` is the vault's URL."""
    return {"value": secret.sent.value, **item(secret, base=base)}


def item(secret: SecretVersion, *, base: str) -> dict[str, Any]:
    """A member of a list of versions: all but the value."""
    attributes = {
        **secret.sent.attributes.model_dump(exclude_none=True),
        "created": secret.created,
        "updated": secret.created,
        "recoveryLevel": "Recoverable+Purgeable",
        "recoverableDays": RETENTION_DAYS,
    }
    return {
        "id": f"{base}/secrets/{secret.name}/{secret.version}",
        "attributes": attributes,
        **secret.sent.model_dump(include={"content_type", "tags"}, by_alias=True, exclude_none=True),
    }
