"""What a client says of itself when it registers, brought into the form of the clients of this server.

Threat: whatever is registered is stored, and shown to people on the consent page (RFC 7591 section 5). So nothing is
kept but redirect URIs, which have to be on the list, and a short name. What a client asks for and this server lacks is
replaced, and the answer says so (section 3.2.1): every client is a public one that uses PKCE and may refresh.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, cast

from entra_mcp.auth.clients.redirects import problem_with
from entra_mcp.auth.parameters import GRANTS, RefusedRequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Narrow = Callable[[str | None, Sequence[str]], list[str] | None]

CLIENT_NAME_CHARACTERS = 128
REDIRECT_URIS = 20
REDIRECT_URI_CHARACTERS = 2048

logger = logging.getLogger(__name__)


def registrable(body: bytes, *, scopes: Sequence[str], narrow: Narrow, patterns: Sequence[str]) -> bytes:
    """Returns the metadata to register, as JSON, for what a client sent.

    `narrow` returns which of `scopes` a client gets for those that it asks for, as `parameters.narrowed` does.

    Raises:
        RefusedRequestError: with the error codes of RFC 7591 section 3.2.2.
    """
    metadata = {name: value for name, value in _read(body).items() if value not in (None, "", [])}
    if "jwks" in metadata and "jwks_uri" in metadata:
        raise _faulty("jwks and jwks_uri exclude each other.")
    if "authorization_code" not in _listed(metadata, "grant_types", otherwise="authorization_code"):
        raise _faulty("grant_types has to contain authorization_code.")
    if "code" not in _listed(metadata, "response_types", otherwise="code"):
        raise _faulty("response_types has to contain code.")
    return json.dumps(
        {
            "redirect_uris": _redirect_uris(metadata, patterns),
            "client_name": _cut(metadata.get("client_name")),
            "grant_types": GRANTS,
            "response_types": ["code"],
            "scope": " ".join(_granted(metadata.get("scope"), scopes, narrow)),
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


def _redirect_uris(metadata: dict[str, object], patterns: Sequence[str]) -> list[object]:
    uris = _listed(metadata, "redirect_uris")
    if not uris:
        raise RefusedRequestError("invalid_redirect_uri", "At least one redirect URI is needed.")
    if len(uris) > REDIRECT_URIS:
        raise RefusedRequestError("invalid_redirect_uri", f"A client may register {REDIRECT_URIS} redirect URIs.")
    for uri in map(str, uris):
        if len(uri) > REDIRECT_URI_CHARACTERS:
            reason = f"A redirect URI may have {REDIRECT_URI_CHARACTERS} characters."
            raise RefusedRequestError("invalid_redirect_uri", reason)
        if (reason := problem_with(uri, patterns)) is not None:
            logger.warning("A registration was refused: %s", reason)
            raise RefusedRequestError("invalid_redirect_uri", reason)
    return uris


def _cut(name: object) -> object:
    return name[:CLIENT_NAME_CHARACTERS] if isinstance(name, str) else name


def _granted(asked: object, scopes: Sequence[str], narrow: Narrow) -> Sequence[str]:
    try:
        return narrow(asked if isinstance(asked, str) else None, scopes) or scopes
    except RefusedRequestError:
        # Nobody asks for access yet. Whoever asks for such a scope then hears of it at its redirect URI.
        return scopes


def _faulty(description: str) -> RefusedRequestError:
    return RefusedRequestError("invalid_client_metadata", description)
