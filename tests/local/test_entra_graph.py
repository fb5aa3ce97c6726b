"""The stand-in for Microsoft Graph: a calendar in pages, faults on demand, continuous access evaluation."""

from __future__ import annotations

import base64
import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.support.token_requests import Form, claims_of, failed, on_behalf_of_form, post, tokens_of

if TYPE_CHECKING:
    import httpx2

    from tests.support.standins import StandIns

VIEW = "/graph/v1.0/me/calendarView"
WEEK = {"startDateTime": "2026-07-27T00:00:00Z", "endDateTime": "2026-08-03T00:00:00Z"}
CP1 = json.dumps({"access_token": {"xms_cc": {"values": ["CP1"]}}})


def graph_token(
    standins: StandIns, http: httpx2.Client, *scopes: str, account: str = "user", changes: Form | None = None
) -> str:
    standins.sign_in(account, scope=f"{standins.api_scope} {' '.join(scopes)}")
    form: Form = {**on_behalf_of_form(standins, account, scope=" ".join(scopes)), **(changes or {})}
    return tokens_of(post(standins, http, form))["access_token"]


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def view(standins: StandIns, http: httpx2.Client, **query: str) -> httpx2.Response:
    return http.get(VIEW, params=query, headers=bearer(graph_token(standins, http, "Calendars.Read")))


def test_calendar_has_the_weekdays_of_the_window_in_order(standins: StandIns, http: httpx2.Client) -> None:
    body = view(standins, http, **WEEK, **{"$top": "50"}).raise_for_status().json()
    starts = [event["start"]["dateTime"] for event in body["value"]]
    assert starts == sorted(starts)
    assert len(starts) == 15
    assert "@odata.nextLink" not in body
    assert body["value"][0]["start"] == {"dateTime": "2026-07-27T09:00:00.0000000", "timeZone": "UTC"}


def test_calendar_comes_ten_at_a_time_and_links_to_the_rest(standins: StandIns, http: httpx2.Client) -> None:
    body: dict[str, Any] = view(standins, http, **WEEK).raise_for_status().json()
    assert len(body["value"]) == 10
    link = urlsplit(str(body["@odata.nextLink"]))
    query = {name: values[0] for name, values in parse_qs(link.query).items()}
    assert query == {**WEEK, "$skip": "10"}
    rest = view(standins, http, **query).json()
    assert len(rest["value"]) == 5
    assert not {event["id"] for event in body["value"]} & {event["id"] for event in rest["value"]}


def test_calendar_selects_properties(standins: StandIns, http: httpx2.Client) -> None:
    body = view(standins, http, **WEEK, **{"$select": "subject, start", "$top": "1"}).json()
    assert set(body["value"][0]) == {"@odata.etag", "id", "subject", "start"}


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({}, "ErrorInvalidParameter"),
        ({"startDateTime": WEEK["startDateTime"]}, "ErrorInvalidParameter"),
        ({**WEEK, "endDateTime": "soon"}, "ErrorInvalidParameter"),
        ({**WEEK, "endDateTime": "2026-07-26T00:00:00Z"}, "ErrorInvalidRequest"),
        ({**WEEK, "endDateTime": "2036-07-26T00:00:00Z"}, "ErrorInvalidRequest"),
        ({**WEEK, "$top": "0"}, "ErrorInvalidUrlQueryOption"),
        ({**WEEK, "$top": "1001"}, "ErrorInvalidUrlQueryOption"),
        ({**WEEK, "$skip": "x"}, "ErrorInvalidUrlQueryOption"),
        ({**WEEK, "$orderby": "subject"}, "ErrorInvalidUrlQuery"),
    ],
    ids=str,
)
def test_calendar_refuses_what_graph_refuses(
    standins: StandIns, http: httpx2.Client, query: dict[str, str], code: str
) -> None:
    answer = view(standins, http, **query)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


def test_calendar_needs_its_own_permission(standins: StandIns, http: httpx2.Client) -> None:
    answer = http.get(VIEW, params=WEEK, headers=bearer(graph_token(standins, http, "User.Read")))
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "ErrorAccessDenied")
    assert http.get(VIEW, params=WEEK).status_code == 401


def test_faults_of_graph_come_in_turn_and_are_used_up(own_standins: StandIns) -> None:
    with own_standins.http() as http:
        token = graph_token(own_standins, http, "User.Read")
        own_standins.control("POST", "/graph/faults", {"status": 429, "retry_after": 7, "times": 2})
        own_standins.control("POST", "/graph/faults", {"status": 503})
        answers = [http.get("/graph/v1.0/me", headers=bearer(token)) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [429, 429, 503, 200]
        assert [answer.headers.get("retry-after") for answer in answers[:3]] == ["7", "7", None]
        assert answers[0].json()["error"]["code"] == "TooManyRequests"
        own_standins.control("POST", "/graph/faults", {"challenge": True})
        own_standins.control("DELETE", "/graph/faults")
        assert http.get("/graph/v1.0/me", headers=bearer(token)).status_code == 200


def test_app_that_understands_challenges_gets_a_long_token(standins: StandIns, http: httpx2.Client) -> None:
    claims = claims_of(graph_token(standins, http, "User.Read", changes={"claims": CP1}))
    assert claims["xms_cc"] == ["cp1"]
    assert claims["exp"] - time.time() > 20 * 3600
    assert "xms_cc" not in claims_of(graph_token(standins, http, "User.Read"))


@pytest.mark.parametrize("claims", ["[]", "{}", '{"access_token": {"xms_cc": {"values": ["x"]}}}'])
def test_claims_without_the_capability_change_nothing(standins: StandIns, http: httpx2.Client, claims: str) -> None:
    assert "xms_cc" not in claims_of(graph_token(standins, http, "User.Read", changes={"claims": claims}))


def test_claims_that_are_not_json_are_refused(standins: StandIns, http: httpx2.Client) -> None:
    form: Form = {**on_behalf_of_form(standins), "claims": "{"}
    failed(post(standins, http, form), 90023, "invalid_request")


def test_revocation_challenges_long_tokens_and_ends_exchanges(own_standins: StandIns) -> None:
    with own_standins.http() as http:
        form: Form = {**on_behalf_of_form(own_standins), "claims": CP1}
        token = tokens_of(post(own_standins, http, form))["access_token"]
        short = graph_token(own_standins, http, "User.Read")
        own_standins.control("POST", "/accounts/user/revoke")
        refused = http.get("/graph/v1.0/me", headers=bearer(token))
        assert refused.status_code == 401
        challenge = refused.headers["www-authenticate"]
        assert 'error="insufficient_claims"' in challenge
        demanded: Any = json.loads(base64.b64decode(challenge.split('claims="')[1].split('"')[0]))
        assert int(demanded["access_token"]["nbf"]["value"]) <= time.time()
        assert http.get("/graph/v1.0/me", headers=bearer(short)).status_code == 200
        failed(post(own_standins, http, form), 50173, "invalid_grant")
