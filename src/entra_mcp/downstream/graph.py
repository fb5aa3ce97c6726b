"""Requests to Microsoft Graph with the caller's own permissions."""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2
from fastmcp.exceptions import ToolError

from entra_mcp.downstream.refusals import DownstreamBusyError, DownstreamRefusedError, SignInAgainError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from entra_mcp.downstream.tokens import DelegatedToken

API = "Microsoft Graph"
BUDGET_SECONDS = 30.0
"""How long after its beginning a tool call may still use Graph, waits included."""

THROTTLED = frozenset({429, 503, 504})
FIRST_WAIT_SECONDS = 0.5
"""The least to wait, doubled each time; Graph may ask for more (https://learn.microsoft.com/graph/throttling)."""

CURSOR_PARAMETERS = frozenset({"$skip", "$skiptoken"})

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Page:
    """Some items of a list, and where the next ones begin; None at the end."""

    items: list[dict[str, Any]]
    cursor: str | None


class GraphClient:
    """Reads from Graph for one tool call; tokens, throttling and challenges are taken care of."""

    def __init__(
        self, *, http: httpx2.AsyncClient, token: DelegatedToken, budget_seconds: float = BUDGET_SECONDS
    ) -> None:
        self._http = http
        self._token = token
        self._deadline = asyncio.get_running_loop().time() + budget_seconds

    async def get(
        self,
        path: str,
        *,
        select: Sequence[str] = (),
        parameters: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Returns the JSON object at a path such as `/me`, with the selected properties.

        Raises:
            ToolError: Graph refused or did not answer; the message is meant for the client.
        """
        query = {**({"$select": ",".join(select)} if select else {}), **(parameters or {})}
        try:
            async with asyncio.timeout_at(self._deadline):
                return await self._get(path, query, headers or {})
        except (httpx2.HTTPError, TimeoutError) as error:
            logger.warning("Microsoft Graph did not answer GET %s: %s", path, type(error).__name__)
            raise DownstreamBusyError(api=API) from error

    async def page(
        self,
        path: str,
        *,
        cursor: str | None = None,
        select: Sequence[str] = (),
        parameters: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Page:
        """Returns the items of a list that begin at the cursor of the page before.

        A cursor comes back through the client, so it is not the address that Graph gave: who invents one only chooses
        where in this list to begin, and cannot send the caller's token anywhere.

        Raises:
            ToolError: as `get`, or the cursor is not one of this list.
        """
        begin = {} if cursor is None else _begin(cursor)
        answer = await self.get(path, select=select, parameters={**(parameters or {}), **begin}, headers=headers)
        link = answer.get("@odata.nextLink")
        return Page(items=answer["value"], cursor=None if link is None else _cursor(link))

    async def _get(self, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> dict[str, Any]:
        token = await self._token.get()
        wait, renewed = FIRST_WAIT_SECONDS, False
        while True:
            response = await self._http.get(
                f"/v1.0{path}", params=query, headers={**headers, "Authorization": f"Bearer {token}"}
            )
            if response.is_success:
                return cast("dict[str, Any]", response.json())
            _log(response, path)
            claims = _claims(response)
            if claims is not None and not renewed:
                token, renewed = await self._token.renew(token, claims=claims), True
            elif response.status_code in THROTTLED:
                await self._wait(max(_retry_after(response), wait))
                wait *= 2
            else:
                raise _refusal(response)

    async def _wait(self, seconds: float) -> None:
        if asyncio.get_running_loop().time() + seconds >= self._deadline:
            raise DownstreamBusyError(api=API, seconds=seconds)
        await asyncio.sleep(seconds)


def _log(response: httpx2.Response, path: str) -> None:
    logger.warning(
        "Microsoft Graph answered %d to GET %s, code %s, request-id %s",
        response.status_code,
        path,
        _error_code(response),
        response.headers.get("request-id"),
    )


def _refusal(response: httpx2.Response) -> ToolError:
    if response.status_code == HTTPStatus.UNAUTHORIZED:
        return SignInAgainError(api=API)
    return DownstreamRefusedError(f"Microsoft Graph refused the request with status {response.status_code}.")


def _error_code(response: httpx2.Response) -> str | None:
    """Graph's word for the error, such as `ErrorAccessDenied`; its message may hold names, and stays unread."""
    try:
        code = response.json()["error"]["code"]
    except (ValueError, KeyError, TypeError):
        return None
    return code if isinstance(code, str) and re.fullmatch(r"\w{1,80}", code) else None


def _claims(response: httpx2.Response) -> str | None:
    """The JSON that a claims challenge demands (https://learn.microsoft.com/entra/identity-platform/claims-challenge)."""
    challenge = response.headers.get("www-authenticate", "") if response.status_code == HTTPStatus.UNAUTHORIZED else ""
    found = re.search(r'\bclaims="([A-Za-z0-9+/_=-]+)"', challenge)
    if 'error="insufficient_claims"' not in challenge or found is None:
        return None
    try:
        encoded = found[1].replace("-", "+").replace("_", "/")
        return base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None


def _retry_after(response: httpx2.Response) -> float:
    """Seconds that the answer asks to wait, as a number or a date (RFC 9110 section 10.2.3); 0 when it does not ask."""
    value = response.headers.get("retry-after", "").strip()
    if value.isdecimal():
        return float(value)
    try:
        return (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError):
        return 0.0


def _cursor(link: str) -> str | None:
    kept = [(name, value) for name, value in parse_qsl(urlsplit(link).query) if name in CURSOR_PARAMETERS]
    return urlencode(kept) or None


def _begin(cursor: str) -> dict[str, str]:
    found = dict(parse_qsl(cursor))
    if not found or not found.keys() <= CURSOR_PARAMETERS:
        raise ToolError("This cursor is not one of this list. Begin again without a cursor.")
    return found
