"""What a client says of itself when it registers: bounded, and brought into the form of the clients of this server.

Threat: whatever is registered is stored, and shown to people on the consent page (RFC 7591 section 5). What a client
asks for and this server lacks is replaced, and the answer says so (section 3.2.1): every client is a public one that
uses PKCE, may refresh, and may ask for every scope on offer. Only its redirect URIs have to be on the list.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, cast

from entra_mcp.auth.parameters import GRANTS, RefusedRequestError, described
from entra_mcp.auth.redirects import admitting_word, is_allowed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

CLIENT_NAME_CHARACTERS = 128
REDIRECT_URIS = 20
STRING_CHARACTERS = 2048
LIST_ITEMS = 50
MEMBERS = 50
DEPTH = 8

logger = logging.getLogger(__name__)


def registrable(body: bytes, *, scopes: Sequence[str], patterns: Sequence[str]) -> bytes:
    """Returns the metadata to register, as JSON, for what a client sent.

    Raises:
        RefusedRequestError: with the error codes of RFC 7591 section 3.2.2.
    """
    metadata = {name: value for name, value in _read(body).items() if value not in (None, "", [])}
    _check_bounds(metadata)
    if "jwks" in metadata and "jwks_uri" in metadata:
        raise _faulty("jwks and jwks_uri exclude each other.")
    if "authorization_code" not in _listed(metadata, "grant_types", otherwise="authorization_code"):
        raise _faulty("grant_types has to contain authorization_code.")
    if "code" not in _listed(metadata, "response_types", otherwise="code"):
        raise _faulty("response_types has to contain code.")
    uris = _listed(metadata, "redirect_uris")
    if not uris:
        raise RefusedRequestError("invalid_redirect_uri", "At least one redirect URI is needed.")
    for uri in uris:
        _check_redirect(str(uri), patterns)
    return json.dumps(
        {
            "redirect_uris": uris,
            "client_name": metadata.get("client_name"),
            "grant_types": GRANTS,
            "response_types": ["code"],
            "scope": " ".join(scopes),
            "token_endpoint_auth_method": "none",
        }
    ).encode()


def _read(body: bytes) -> dict[str, object]:
    try:
        metadata: object = json.loads(body)
    except (ValueError, RecursionError):
        metadata = None
    if not isinstance(metadata, dict):
        raise _faulty("The request is not a JSON object.")
    return cast("dict[str, object]", metadata)


def _listed(metadata: dict[str, object], name: str, *, otherwise: str | None = None) -> list[object]:
    value = metadata.get(name, [otherwise] if otherwise else [])
    if not isinstance(value, list):
        raise _faulty(f"{name} has to be a list.")
    return cast("list[object]", value)


def _check_redirect(uri: str, patterns: Sequence[str]) -> None:
    if len(uri) > STRING_CHARACTERS:
        raise RefusedRequestError("invalid_redirect_uri", f"A redirect URI may have {STRING_CHARACTERS} characters.")
    if is_allowed(uri, patterns):
        return
    word = admitting_word(uri)
    remedy = (
        f"the word {word} in MCP_ALLOWED_REDIRECT_URIS admits it" if word else "MCP_ALLOWED_REDIRECT_URIS lists them"
    )
    reason = described(f"{uri[:200]} is not a redirect URI that this server admits; {remedy}.")
    logger.warning("A registration was refused: %s", reason)
    raise RefusedRequestError("invalid_redirect_uri", reason)


def _check_bounds(metadata: dict[str, object]) -> None:
    uris, name = metadata.get("redirect_uris"), metadata.get("client_name")
    if isinstance(uris, list) and len(cast("list[object]", uris)) > REDIRECT_URIS:
        raise RefusedRequestError("invalid_redirect_uri", f"A client may register {REDIRECT_URIS} redirect URIs.")
    if isinstance(name, str) and len(name) > CLIENT_NAME_CHARACTERS:
        raise _faulty(f"client_name may have {CLIENT_NAME_CHARACTERS} characters.")
    others = {name: value for name, value in metadata.items() if name != "redirect_uris"}
    if not _within(others, depth=DEPTH):
        raise _faulty("The client metadata is too long, or nested too deep.")


def _within(value: object, *, depth: int) -> bool:
    match value:
        case str():
            return len(value) <= STRING_CHARACTERS
        case dict():
            members = cast("dict[str, object]", value)
            return len(members) <= MEMBERS and _all_within((*members, *members.values()), depth=depth)
        case list():
            items = cast("list[object]", value)
            return len(items) <= LIST_ITEMS and _all_within(items, depth=depth)
        case _:
            return True


def _all_within(values: Iterable[object], *, depth: int) -> bool:
    return depth > 0 and all(_within(value, depth=depth - 1) for value in values)


def _faulty(description: str) -> RefusedRequestError:
    return RefusedRequestError("invalid_client_metadata", description)
