"""Requests to one API: tokens, patience with throttling and outages, pages, and refusals that say what to do."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import httpx2

from ops.documents import part
from ops.errors import ApiError, UnreachableError
from ops.refusals import remedy_for

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from datetime import datetime

    from ops.credentials import Tokens

ATTEMPTS = 6
MAX_WAIT_SECONDS = 60.0
"""Seconds; a service that asks for more is believed to mean that it is not to be waited for."""

RETRYABLE = frozenset(
    {
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
MAX_PAGES = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How a command waits; tests do not."""

    sleep: Callable[[float], None] = time.sleep
    say: Callable[[str], None] = field(default=lambda _text: None)

    def wait(self, seconds: float, why: str) -> None:
        self.say(f"{why}; next attempt in {seconds:.0f} s")
        self.sleep(seconds)

    def until[T](self, look: Callable[[], T], good: Callable[[T], object], *, waits: Sequence[float], why: str) -> T:
        """What `look` finds once that is good; after the last wait, whatever it finds then."""
        for seconds in waits:
            if good(found := look()):
                return found
            self.wait(seconds, why)
        return look()


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """One service. `request` gives the answer, or raises what it was refused with."""

    service: str
    base: str
    scope: str
    http: httpx2.Client
    tokens: Tokens
    patience: Patience

    def get(self, path: str, **parameters: str) -> dict[str, Any]:
        return self.request("GET", path, parameters=parameters).document

    def find(self, path: str, **parameters: str) -> dict[str, Any] | None:
        """As `get`, but None when there is no such thing."""
        answer = self.request("GET", path, parameters=parameters, accept={HTTPStatus.NOT_FOUND})
        return None if answer.status == HTTPStatus.NOT_FOUND else answer.document

    def pages(self, path: str, **parameters: str) -> Iterator[dict[str, Any]]:
        """The members of a list, over all of its pages."""
        answer = self.request("GET", path, parameters=parameters).document
        for _ in range(MAX_PAGES):
            yield from cast("list[dict[str, Any]]", answer.get("value") or [])
            following = answer.get("@odata.nextLink") or answer.get("nextLink")
            if not following:
                return
            answer = self.request("GET", str(following)).document
        raise ApiError(
            service=self.service,
            request=f"GET {path}",
            status=HTTPStatus.OK,
            text=f"the list has more than {MAX_PAGES} pages",
            remedy="Look for it in the portal.",
        )

    def request(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        parameters: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        accept: Collection[int] = (),
        remedies: Mapping[int, str] | None = None,
    ) -> Answer:
        """One request to a path of the service, or to a link that it gave; repeated while it is busy or out of reach.

        A refusal says what is to be done by its status in `remedies`, else by `ops/refusals.py`.

        Raises:
            ApiError: the service refuses, with a status that is not among `accept`, or the link leads elsewhere.
            UnreachableError: it did not answer.
        """
        url = f"{self.base}{path}" if path.startswith("/") else self._own(path)
        request = self.http.build_request(method, url, json=body, params=parameters or None, headers=headers)
        response = self._send(request)
        if response.is_success or response.status_code in accept:
            return Answer(response.status_code, _document_of(response), date_of(response))
        code, text = _error_of(response)
        raise ApiError(
            service=self.service,
            request=f"{method} {urlsplit(url).path}",
            status=response.status_code,
            code=code,
            text=text,
            remedy=(remedies or {}).get(response.status_code) or remedy_for(code, response.status_code),
        )

    def _send(self, request: httpx2.Request) -> httpx2.Response:
        for attempt in range(1, ATTEMPTS + 1):
            request.headers["Authorization"] = f"Bearer {self.tokens.get(self.scope)}"
            try:
                response = self.http.send(request)
            except httpx2.TransportError as error:
                if attempt == ATTEMPTS:
                    raise UnreachableError(
                        f"{self.service} does not answer at {request.url.netloc.decode()} ({type(error).__name__}). "
                        "Check the network and the proxy of this machine, then run the command again."
                    ) from error
                self.patience.wait(2.0 ** (attempt - 1), f"{self.service} is out of reach")
                continue
            if response.status_code not in RETRYABLE or attempt == ATTEMPTS:
                return response
            wait = retry_after(response) or 2.0 ** (attempt - 1)
            if wait > MAX_WAIT_SECONDS:
                return response
            self.patience.wait(wait, f"{self.service} answered {response.status_code}")
        raise AssertionError("the last attempt returns or raises")

    def _own(self, link: str) -> str:
        """The link, whose place may be written in another way than `base`: Key Vault's links name the port 443.

        Raises:
            ApiError: it leads to another place, which must not get the token, or is no address.
        """
        ours = httpx2.URL(self.base)
        with contextlib.suppress(httpx2.InvalidURL):
            theirs = httpx2.URL(link)
            if (ours.scheme, ours.netloc, ours.userinfo) == (theirs.scheme, theirs.netloc, theirs.userinfo):
                return str(theirs)
        raise ApiError(
            service=self.service,
            request="GET (next page)",
            status=HTTPStatus.OK,
            text="the list goes on at another address",
            remedy="Check GRAPH_BASE_URL and AZURE_RESOURCE_MANAGER_URL.",
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that was not refused."""

    status: int
    document: dict[str, Any]
    """The JSON object; empty when there is none."""
    date: datetime | None
    """The service's own clock."""


def date_of(response: httpx2.Response) -> datetime | None:
    """When the response was made, by the clock of who made it."""
    with contextlib.suppress(ValueError):
        return parsedate_to_datetime(response.headers.get("date", ""))
    return None


def retry_after(response: httpx2.Response) -> float | None:
    """Seconds that the service asks to be left alone."""
    value = response.headers.get("retry-after", "")
    return float(value) if value.isdecimal() else None


def _error_of(response: httpx2.Response) -> tuple[str, str]:
    """Code and message in the ways in which Graph, Resource Manager and Key Vault write them."""
    document = _document_of(response)
    if not isinstance(document.get("error", {}), dict):
        return str(document["error"]), ""
    found = part(document, "error") or document
    code = part(found, "innererror").get("code") or found.get("code") or found.get("Code")
    return str(code or ""), str(found.get("message") or "")[:500]


def _document_of(response: httpx2.Response) -> dict[str, Any]:
    try:
        return part(response.json())
    except ValueError:
        return {}
