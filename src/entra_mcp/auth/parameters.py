"""What clients send to the endpoints of OAuth: read and checked once, before the SDK's handlers see it.

Clients differ, and so do the specifications that they follow. What a client asks for too much is left out (RFC 6749
section 3.3); what has two meanings is refused (sections 3.1 and 3.2).
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections import Counter
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qsl, quote, unquote_plus, urlencode, urlsplit

from mcp.shared.auth import JWT_BEARER_GRANT_TYPE
from starlette.requests import Request

from entra_mcp.errors import EntraMcpError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from starlette.responses import Response
    from starlette.types import Message

    from entra_mcp.settings import Settings

MAX_PARAMETERS = 50

RESOURCE = "resource"
"""The server that a token is to be for (RFC 8707 section 2): the only parameter that may come more than once."""

TIMES = ("exp", "iat", "nbf")
"""The times of an assertion (RFC 7519 section 4.1)."""

FORM = "application/x-www-form-urlencoded"

GRANTS = ("authorization_code", "refresh_token")

OPENID_SCOPES = frozenset({"openid", "profile", "email", "address", "phone", "offline_access"})
"""What clients of any provider ask for (OpenID Connect Core sections 5.4 and 11); here they mean nothing."""

CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
"""A SHA-256 in base64url without padding."""


def grants_of(settings: Settings) -> tuple[str, ...]:
    """Returns the grants of this server, with identity assertions only where an issuer of them is trusted."""
    return (*GRANTS, JWT_BEARER_GRANT_TYPE) if settings.identity_assertion_issuers else GRANTS


def has_finite_times(claims: Mapping[str, Any]) -> bool:
    """Whether all times of an assertion are finite. Whatever is compared with NaN is false, whether too long or not."""
    return all(math.isfinite(claims[name]) for name in TIMES if claims.get(name) is not None)


class RefusedRequestError(EntraMcpError):
    """A request that is refused: the error code of OAuth, and its description."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error = error
        self.description = description


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters of one request. One without a value counts as none (RFC 6749 section 3.1)."""

    values: dict[str, str]
    """What came once, by name."""

    resources: tuple[str, ...]
    """The servers that a token is to be for."""

    repeated: str | None
    """The first one that came more than once."""

    @classmethod
    def read(cls, encoded: str) -> Self:
        """Reads a query or a form.

        Raises:
            RefusedRequestError: they are too many to be read.
        """
        try:
            pairs = parse_qsl(encoded, max_num_fields=MAX_PARAMETERS)
        except ValueError:
            raise RefusedRequestError("invalid_request", f"A request may have {MAX_PARAMETERS} parameters.") from None
        times = Counter(name for name, _ in pairs if name != RESOURCE)
        return cls(
            values={name: value for name, value in pairs if times[name] == 1},
            resources=tuple(value for name, value in pairs if name == RESOURCE),
            repeated=next((name for name in times if times[name] > 1), None),
        )

    def check(self, *, own_resource: str) -> None:
        """Refuses what neither endpoint may take.

        Raises:
            RefusedRequestError: a parameter came more than once, or the token is to be for another server.
        """
        if self.repeated is not None:
            raise RefusedRequestError("invalid_request", f"The parameter {self.repeated[:40]} came more than once.")
        # Threat: a token that a client believes to be another server's, or that another server takes for its own.
        if not all(_is_same(resource, own_resource) for resource in self.resources):
            raise RefusedRequestError("invalid_target", "This server issues tokens for itself alone.")

    def check_challenge(self) -> None:
        """Assumes nothing: who leaves out the PKCE method means `plain` (RFC 7636 section 4.3).

        Raises:
            RefusedRequestError: there is no challenge of the method S256.
        """
        if self.values.get("code_challenge_method") != "S256" or not CHALLENGE.fullmatch(
            self.values.get("code_challenge", "")
        ):
            raise RefusedRequestError(
                "invalid_request", "A code_challenge of the code_challenge_method S256 is needed."
            )

    def check_grant(self, grants: Sequence[str]) -> None:
        """Looks at the grant before it matters who asks; `grants` are those of this server.

        Raises:
            RefusedRequestError: this server does not have the grant.
        """
        grant = self.values.get("grant_type")
        if grant is None:
            raise RefusedRequestError("invalid_request", "The parameter grant_type is missing.")
        if grant not in grants:
            raise RefusedRequestError("unsupported_grant_type", f"The grant types are {' and '.join(grants)}.")

    def identified(self, authorization: str) -> Self:
        """Returns the parameters with the client's id of an `Authorization` header, where they have none themselves.

        Some clients authenticate with HTTP Basic and an empty password, though they registered as public ones
        (RFC 6749 section 2.3.1).
        """
        scheme, _, credentials = authorization.partition(" ")
        if "client_id" in self.values or scheme.lower() != "basic":
            return self
        try:
            client_id = unquote_plus(base64.b64decode(credentials).decode().partition(":")[0])
        except ValueError:
            return self
        return replace(self, values={**self.values, "client_id": client_id})

    def encoded(self, **changes: str | None) -> bytes:
        """Returns the parameters as a query or form, with some set, or left out for None."""
        values: dict[str, str | None] = {**self.values, **changes}
        return urlencode({name: value for name, value in values.items() if value is not None}).encode()


async def read_form(request: Request) -> Parameters:
    """Reads the form of a request.

    Raises:
        RefusedRequestError: it is not of the only type there is for it (RFC 6749 appendix B), or has too many fields.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise RefusedRequestError("invalid_request", f"The parameters have to come as {FORM}.")
    return Parameters.read((await request.body()).decode(errors="replace"))


async def required(request: Request, name: str) -> str:
    """Returns a parameter of the form.

    Raises:
        RefusedRequestError: it is missing.
    """
    value = (await request.form()).get(name)
    if not isinstance(value, str) or not value:
        raise RefusedRequestError("invalid_request", f"The parameter `{name}` is missing.")
    return value


def with_body(request: Request, body: bytes) -> Request:
    """Returns the request with another body of the same type."""

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return Request(request.scope, receive)


def narrowed(asked: str | None, offered: Sequence[str], *, required: Collection[str], prefix: str) -> list[str] | None:
    """Returns the scopes to grant, of those on offer; None when nothing else than OpenID's was asked for.

    They are those that were asked for and all that are `required`, since a token that lacks one is good for nothing. A
    server may grant others than were asked for, and say so (RFC 6749 section 3.3). `prefix` is what Entra ID has before
    the name of a scope, and clients that know it may send.

    Raises:
        RefusedRequestError: something was asked for, and nothing of it is on offer.
    """
    names = [name.removeprefix(prefix) for name in (asked or "").split() if name not in OPENID_SCOPES]
    if not names:
        return None
    if not any(scope in names for scope in offered):
        raise RefusedRequestError("invalid_scope", f"The scopes are {' '.join(offered)}.")
    return [scope for scope in offered if scope in names or scope in required]


def strict(request: Request, response: Response) -> Response:
    """Brings an answer into the form that RFC 6749 prescribes.

    An error is described in printable ASCII without quotation marks and backslashes (sections 4.1.2.1 and 5.2). A
    client that sent no state gets none back. One that sent credentials in a header gets the scheme too (section 5.2).
    """
    status = response.status_code
    if location := response.headers.get("location"):
        location = re.sub(r"(?<=[?&]error_description=)[^&#]*", _described_in_query, location)
        response.headers["location"] = re.sub(r"&state=(?=&|#|$)|(?<=\?)state=(&|(?=#|$))", "", location)
    elif status >= HTTPStatus.BAD_REQUEST and response.headers.get("content-type", "").startswith("application/json"):
        content: dict[str, Any] = json.loads(bytes(response.body))
        content["error_description"] = described(str(content.get("error_description") or ""))
        response.body = json.dumps(content).encode()
        response.headers["content-length"] = str(len(response.body))
    sent = request.headers.get("authorization", "")
    if status == HTTPStatus.UNAUTHORIZED and sent.lower().startswith("basic"):
        response.headers["www-authenticate"] = 'Basic realm="OAuth"'
    return response


def described(text: str) -> str:
    """Returns the text in the characters that an `error_description` may have; each run of others is a space."""
    return re.sub(r"[^\x20\x21\x23-\x5b\x5d-\x7e]+", " ", text)


def _is_same(requested: str, own: str) -> bool:
    """Whether a client means this server; some add a query, a fragment or a trailing slash to its address."""
    try:
        return _place(requested) == _place(own)
    except ValueError:
        return False


def _place(url: str) -> tuple[str, str, str]:
    parts = urlsplit(url)
    return parts.scheme.lower(), parts.netloc.lower(), parts.path.rstrip("/")


def _described_in_query(found: re.Match[str]) -> str:
    # Spaces as %20, not +: some clients show what they get as it is.
    return quote(described(unquote_plus(found[0])), safe="")
