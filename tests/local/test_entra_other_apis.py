"""APIs of the directory file: their tokens, consent, roles, what their stand-ins check, and how they refuse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jwt
import pytest

from local.directory import load_directory
from local.entra.tenants import OTHER_TENANT
from tests.support.standins import DIRECTORY, StandIns
from tests.support.token_requests import ON_BEHALF_OF, Form, claims_of, failed, on_behalf_of_form, post, tokens_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx2

READ = "api://orders/Orders.Read"
CLIENT_ID = load_directory(DIRECTORY).apis["orders"].client_id


def exchanged(standins: StandIns, http: httpx2.Client, account: str = "user", scope: str = READ) -> str:
    """A token for an API, as the on-behalf-of grant issues it once the person has consented."""
    standins.sign_in(account, scope=f"{standins.api_scope} {READ}")
    return tokens_of(post(standins, http, on_behalf_of_form(standins, account, scope=scope)))["access_token"]


def get(http: httpx2.Client, path: str, token: str | None, **query: str) -> httpx2.Response:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return http.get(f"/apis{path}", params=query, headers=headers)


def for_orders(standins: StandIns, **changes: Any) -> str:  # noqa: ANN401 - any claim
    """A token that the stand-in of the API takes, with claims changed."""
    return standins.token("user", **{"aud": CLIENT_ID, "scp": "Orders.Read", **changes})


def test_token_on_behalf_of_a_person_is_for_the_api_alone(standins: StandIns, http: httpx2.Client) -> None:
    claims = claims_of(exchanged(standins, http))
    assert (claims["aud"], claims["scp"], claims["ver"]) == (CLIENT_ID, "Orders.Read", "2.0")
    assert claims["iss"] == standins.issuer
    assert "roles" not in claims


def test_role_through_a_group_is_in_the_token_of_its_own_application(standins: StandIns, http: httpx2.Client) -> None:
    assert claims_of(standins.sign_in_for_token("approver"))["roles"] == ["Orders.Approver"]
    assert claims_of(exchanged(standins, http, "approver"))["roles"] == ["Orders.Export"]


def test_consent_to_an_api_is_missing_until_the_person_gives_it(own_standins: StandIns) -> None:
    with own_standins.http() as http:
        form = on_behalf_of_form(own_standins, scope=READ)
        failed(post(own_standins, http, form), 65001, "invalid_grant")
        own_standins.sign_in("user", scope=READ)
        tokens_of(post(own_standins, http, form))
        failed(post(own_standins, http, {**form, "scope": "api://orders/Orders.Write"}), 65001, "invalid_grant")


def test_api_with_the_consent_of_an_administrator_needs_no_other(standins: StandIns, http: httpx2.Client) -> None:
    form = on_behalf_of_form(standins, "admin", scope="https://stock.example/Stock.Read")
    claims = claims_of(tokens_of(post(standins, http, form))["access_token"])
    assert (claims["aud"], claims["ver"]) == ("https://stock.example", "1.0")
    shown = get(http, "/stock", tokens_of(post(standins, http, form))["access_token"])
    assert shown.json()["scp"] == "Stock.Read"


@pytest.mark.parametrize(
    ("scope", "code", "error"),
    [
        ("api://orders/Orders.Raed", 650053, "invalid_client"),
        ("api://order/Orders.Read", 500011, "invalid_resource"),
    ],
)
def test_scope_that_the_file_does_not_have_is_refused(
    standins: StandIns, http: httpx2.Client, scope: str, code: int, error: str
) -> None:
    failed(post(standins, http, on_behalf_of_form(standins, scope=scope)), code, error)


def test_account_meets_the_fault_that_the_file_gives_it_at_an_api(standins: StandIns, http: httpx2.Client) -> None:
    standins.sign_in("stepup", scope=READ)
    failed(post(standins, http, on_behalf_of_form(standins, "stepup", scope=READ)), 50076, "interaction_required")


def test_api_shows_the_claims_of_the_token(standins: StandIns, http: httpx2.Client) -> None:
    token = exchanged(standins, http)
    assert get(http, "/orders", token).json() == claims_of(token)


def test_list_comes_in_pages_to_its_end(standins: StandIns, http: httpx2.Client) -> None:
    token = for_orders(standins)
    pages: list[list[str]] = []
    query: dict[str, str] = {}
    while True:
        page = get(http, "/orders/orders", token, limit="2", **query).raise_for_status().json()
        pages.append([item["id"] for item in page["items"]])
        if page["next_cursor"] is None:
            break
        query = {"cursor": page["next_cursor"]}
    assert pages == [["1001", "1002"], ["1003", "1004"], ["1005"]]
    assert get(http, "/orders/orders/1003", token).json()["customer"] == "Fabrikam"


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "22222222-2222-4222-8222-222222222222"},
        {"aud": "api://orders"},
        {"exp": 1},
        {"exp": None},
        {"nbf": 4_000_000_000},
        {"iss": "https://evil.example/v2.0"},
        {"iss": "https://sts.windows.net/11111111-1111-4111-8111-111111111111/", "ver": "1.0"},
        {"tid": OTHER_TENANT},
        {"tid": None},
    ],
    ids=str,
)
def test_token_that_is_not_for_the_api_is_401(
    standins: StandIns, http: httpx2.Client, changes: dict[str, object]
) -> None:
    for path in ("/orders", "/orders/orders", "/orders/orders/1001", "/orders/nothing"):
        answer = get(http, path, for_orders(standins, **changes))
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith('Bearer error="invalid_token"')


@pytest.mark.parametrize("token", [None, "not-a-token", "another key"])
def test_token_that_nobody_here_signed_is_401(standins: StandIns, http: httpx2.Client, token: str | None) -> None:
    if token == "another key":
        token = jwt.encode(claims_of(for_orders(standins)), "x" * 32, algorithm="HS256")
    assert get(http, "/orders/orders", token).status_code == 401


@pytest.mark.parametrize(
    "changes",
    [
        {"scp": "Orders.Write"},
        {"scp": "Orders.ReadAll"},
        {"scp": None},
        {"scp": None, "roles": ["Else"]},
        {"scp": "Orders.Write", "roles": ["Orders.Export"]},
    ],
    ids=str,
)
def test_token_without_the_scope_of_the_list_is_403(
    standins: StandIns, http: httpx2.Client, changes: dict[str, object]
) -> None:
    answer = get(http, "/orders/orders", for_orders(standins, **changes))
    assert answer.status_code == 403
    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]


def test_application_with_an_app_role_may_read(standins: StandIns, http: httpx2.Client) -> None:
    token = for_orders(standins, scp=None, roles=["Orders.Export"])
    assert get(http, "/orders/orders", token).status_code == 200


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        ("/orders/orders/1", {}, 404),
        ("/orders/nothing", {}, 404),
        ("/nothing", {}, 404),
        ("/orders/orders", {"limit": "0"}, 400),
        ("/orders/orders", {"limit": "101"}, 400),
        ("/orders/orders", {"cursor": "-1"}, 400),
        ("/orders/orders", {"cursor": "6"}, 400),
        ("/orders/orders", {"cursor": "x"}, 400),
    ],
)
def test_faulty_request_is_refused(
    standins: StandIns, http: httpx2.Client, path: str, query: dict[str, str], status: int
) -> None:
    answer = get(http, path, for_orders(standins), **query)
    assert answer.status_code == status
    assert answer.json()["error"]["message"]


def test_faults_of_an_api_come_in_turn_and_leave_others_alone(own_standins: StandIns) -> None:
    with own_standins.http() as http:
        token = for_orders(own_standins)
        own_standins.control("POST", "/orders/faults", {"status": 429, "retry_after": 7})
        own_standins.control("POST", "/orders/faults", {"status": 500})
        own_standins.control("POST", "/stock/faults", {"status": 502})
        answers = [get(http, "/orders/orders", token) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [429, 500, 200]
        assert answers[0].headers["retry-after"] == "7"
        assert get(http, "/stock", token).status_code == 502
        own_standins.control("POST", "/orders/faults", {"times": 9})
        own_standins.control("DELETE", "/orders/faults")
        assert get(http, "/orders/orders", token).status_code == 200


@pytest.mark.parametrize(
    ("api", "body", "status"),
    [
        ("nothing", {}, 404),
        ("orders", {"challenge": True}, 400),
        ("orders", {"status": 200}, 400),
        ("graph", {"times": 0}, 400),
        ("graph", {"unknown": 1}, 400),
    ],
)
def test_fault_that_makes_no_sense_is_refused(http: httpx2.Client, api: str, body: dict[str, Any], status: int) -> None:
    assert http.post(f"/_local/{api}/faults", json=body).status_code == status


@pytest.fixture(scope="module")
def forks_standins(tmp_path_factory: pytest.TempPathFactory, certificates: Path) -> Iterator[StandIns]:
    """Stand-ins for a server with settings of a fork."""
    options = (
        "--identifier-uri=api://contoso.example/mcp",
        "--scopes=orders.use",
        "--additional-scopes=openid offline_access Mail.Send Bookings.Manage.All api://contoso.example/mcp/orders.admin",
        "--app-roles=Tasks.Run",
    )
    folder = tmp_path_factory.mktemp("fork")
    with StandIns(folder=folder, tls=certificates, registration=options) as standins:
        yield standins


def test_scopes_of_the_settings_are_issued(forks_standins: StandIns) -> None:
    own = "api://contoso.example/mcp"
    scope = f"{own}/orders.use {own}/orders.admin openid Mail.Send Bookings.Manage.All Sites.Read.All {READ}"
    callback = forks_standins.sign_in(scope=scope)
    form: Form = {
        "grant_type": "authorization_code",
        "redirect_uri": forks_standins.redirect_uris[0],
        "scope": f"{own}/orders.use {own}/orders.admin",
        **{name: callback[name] for name in ("code", "code_verifier")},
    }
    with forks_standins.http() as http:
        token = tokens_of(post(forks_standins, http, form))["access_token"]
        assert claims_of(token)["scp"] == "orders.admin orders.use"
        for asked, granted in (("Mail.Send", "Mail.Send"), (READ, "Orders.Read")):
            exchange: Form = {
                "grant_type": ON_BEHALF_OF,
                "requested_token_use": "on_behalf_of",
                "assertion": token,
                "scope": asked,
            }
            assert claims_of(tokens_of(post(forks_standins, http, exchange))["access_token"])["scp"] == granted


def test_application_has_the_app_roles_of_the_settings(forks_standins: StandIns) -> None:
    form: Form = {"grant_type": "client_credentials", "scope": "api://contoso.example/mcp/.default"}
    with forks_standins.http() as http:
        assert claims_of(tokens_of(post(forks_standins, http, form))["access_token"])["roles"] == ["Tasks.Run"]
