"""What a client gets to read of the refusals of Entra ID, and that it is no more than that."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from azure.core.exceptions import ClientAuthenticationError

from entra_mcp.downstream.consent import consent_url
from entra_mcp.downstream.refusals import (
    ConsentRequiredError,
    DownstreamBusyError,
    DownstreamRefusedError,
    SignInAgainError,
    refusal_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from entra_mcp.settings import Settings

LINK = "https://login.example/consent"


def refused(code: int, error: str, *, status: int = 400, **members: str) -> ClientAuthenticationError:
    """As azure-identity raises it."""
    description = f"AADSTS{code}: Contoso internals. Trace ID: 1"
    document: dict[str, Any] = {"error": error, "error_description": description, **members}
    response: Any = SimpleNamespace(status_code=status, reason="", text=lambda: json.dumps(document))
    return ClientAuthenticationError(f"Microsoft Entra ID error '({error}) {description}'", response=response)


@pytest.mark.parametrize(
    ("error", "kind", "told"),
    [
        (refused(65001, "invalid_grant", suberror="consent_required"), ConsentRequiredError, "https://login.example"),
        (refused(65001, "invalid_grant"), ConsentRequiredError, "https://login.example"),
        (refused(90094, "invalid_grant"), ConsentRequiredError, "administrator"),
        (refused(50076, "interaction_required"), SignInAgainError, "sign in again"),
        (refused(53003, "interaction_required"), SignInAgainError, "connect again"),
        (refused(50173, "invalid_grant"), SignInAgainError, "sign in again"),
        (refused(90033, "temporarily_unavailable", status=503), DownstreamBusyError, "Try again"),
        (refused(90055, "invalid_request", status=429), DownstreamBusyError, "Try again"),
        (refused(7000215, "invalid_client", status=401), DownstreamRefusedError, "log"),
        (refused(500011, "invalid_resource"), DownstreamRefusedError, "log"),
        (ClientAuthenticationError("Unexpected response"), DownstreamRefusedError, "log"),
    ],
)
def test_refusal_of_entra_tells_the_person_what_to_do(
    error: ClientAuthenticationError, kind: type[Exception], told: str
) -> None:
    refusal = refusal_of(error, api="Contoso Orders", scopes=["Orders.Read"], consent_url=LINK, question="")
    assert type(refusal) is kind
    assert told in str(refusal)
    assert "AADSTS" not in str(refusal)
    assert "internals" not in str(refusal)


def test_answer_that_is_not_json_is_refused_all_the_same() -> None:
    response: Any = SimpleNamespace(status_code=502, reason="", text=lambda: "<html>")
    error = ClientAuthenticationError("Bad gateway", response=response)
    assert type(refusal_of(error, api="Graph", scopes=[], consent_url=LINK, question="")) is DownstreamBusyError


def test_consent_address_asks_for_the_scopes_of_the_tool(load_settings: Callable[..., Settings]) -> None:
    settings = load_settings()
    url = urlsplit(consent_url(settings, ["Calendars.Read", "Mail.Read"]))
    assert f"{url.netloc}{url.path}" == f"login.microsoftonline.com/{settings.tenant_id}/oauth2/v2.0/authorize"
    assert parse_qs(url.query) == {
        "client_id": [settings.client_id],
        "response_type": ["code"],
        "redirect_uri": ["https://mcp.contoso.com/auth/callback"],
        "scope": ["Calendars.Read Mail.Read"],
        "prompt": ["consent"],
        "state": ["consent"],
    }


@pytest.mark.parametrize(("seconds", "told"), [(None, "in a moment"), (0.2, "in 1 s"), (29.5, "in 30 s")])
def test_busy_api_says_for_how_long(seconds: float | None, told: str) -> None:
    assert told in str(DownstreamBusyError(api="Microsoft Graph", seconds=seconds))
