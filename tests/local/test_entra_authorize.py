"""The sign-in page: what it shows, where it sends the browser, and what never leaves it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import httpx2
import pytest

from tests.support.standins import REDIRECT_URI, StandIns, choose, form_action

if TYPE_CHECKING:
    from collections.abc import Iterator

CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


@pytest.fixture
def browser() -> Iterator[httpx2.Client]:
    with httpx2.Client(timeout=60) as client:
        yield client


def _url(standins: StandIns, segment: str | None = None, **changes: str | None) -> str:
    query: dict[str, str | None] = {
        "client_id": standins.client_id,
        "redirect_uri": REDIRECT_URI,
        "response_type": "code",
        "scope": f"{standins.api_scope} User.Read openid offline_access",
        "state": "st&te",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        "prompt": "select_account",
        **changes,
    }
    sent = {name: value for name, value in query.items() if value is not None}
    return f"{standins.sign_in_url}/{segment or standins.tenant_id}/oauth2/v2.0/authorize?{urlencode(sent)}"


def _callback(answer: httpx2.Response) -> dict[str, str]:
    assert answer.status_code == 302, answer.text
    location = urlsplit(answer.headers["location"])
    assert f"{location.scheme}://{location.netloc}{location.path}" == REDIRECT_URI
    return {name: values[0] for name, values in parse_qs(location.query).items()}


def test_page_lists_accounts_with_names_addresses_and_roles(standins: StandIns, browser: httpx2.Client) -> None:
    page = browser.get(_url(standins)).text
    for text in ("Local User", "user@local.example", "Local Admin", ">Admin<", "Blocked by", "Cancel"):
        assert text.lower() in page.lower()
    assert "no password is needed" in page
    assert "User.Read" in page


def test_page_loads_nothing_and_cannot_be_framed(standins: StandIns, browser: httpx2.Client) -> None:
    answer = browser.get(_url(standins))
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["x-frame-options"] == "DENY"
    assert "no-store" in answer.headers["cache-control"]
    assert answer.headers["referrer-policy"] == "no-referrer"
    body = answer.text.partition("<body>")[2]
    assert "<script" not in answer.text
    assert "src=" not in body
    assert "http:" not in body.replace(form_action(answer.text), "")


@pytest.mark.parametrize("listener", ["sign_in", "secure"])
@pytest.mark.parametrize("account", ["user", "admin", "unconsented", "stepup"])
def test_choice_redirects_with_code_and_state(standins: StandIns, listener: str, account: str) -> None:
    url = _url(standins)
    if listener == "secure":
        url = url.replace(standins.sign_in_url, standins.entra_url)
    with standins.http() as http:
        page = http.get(url)
        callback = _callback(http.post(urljoin(url, form_action(page.text)), data={"account": account}))
    assert set(callback) == {"code", "state", "session_state"}
    assert callback["state"] == "st&te"


def test_localhost_and_both_loopback_addresses_are_served(standins: StandIns, browser: httpx2.Client) -> None:
    port = urlsplit(standins.sign_in_url).port
    assert browser.get(f"http://localhost:{port}/healthz").status_code == 200
    assert browser.get(f"http://127.0.0.1:{port}/healthz").status_code == 200


def test_every_sign_in_has_its_own_code_and_session(standins: StandIns) -> None:
    first, second = standins.sign_in(), standins.sign_in()
    assert first["code"] != second["code"]
    assert first["session_state"] != second["session_state"]


def test_login_hint_puts_focus_on_account(standins: StandIns, browser: httpx2.Client) -> None:
    page = browser.get(_url(standins, login_hint="admin@local.example")).text
    assert page.count("autofocus") == 1
    assert 'value="admin" autofocus' in page


def test_cancel_redirects_with_access_denied(standins: StandIns) -> None:
    callback = choose(_url(standins), action="cancel")
    assert callback["error"] == "access_denied"
    assert callback["error_subcode"] == "cancel"
    assert callback["error_description"].startswith("AADSTS65004: User declined to consent")
    assert callback["state"] == "st&te"
    assert "code" not in callback


@pytest.mark.parametrize(
    ("segment", "account", "code"),
    [
        (None, "blocked", "AADSTS53003"),
        (None, "other", "AADSTS50020"),
        (None, "personal", "AADSTS50020"),
        ("organizations", "personal", "AADSTS50020"),
        ("consumers", "user", "AADSTS50020"),
    ],
)
def test_refused_account_gets_page_and_may_return_with_error(
    standins: StandIns, browser: httpx2.Client, segment: str | None, account: str, code: str
) -> None:
    url = _url(standins, segment)
    refused = browser.post(url, data={"account": account})
    assert refused.status_code == 400
    assert code in refused.text
    assert "Trace ID:" in refused.text
    callback = _callback(
        browser.post(urljoin(url, form_action(refused.text)), data={"account": account, "action": "return"})
    )
    assert callback["error"] == "access_denied"
    assert callback["error_description"].startswith(code)


@pytest.mark.parametrize(
    ("segment", "account"),
    [("organizations", "user"), ("organizations", "other"), ("common", "personal"), ("consumers", "personal")],
)
def test_account_of_the_path_signs_in(standins: StandIns, segment: str, account: str) -> None:
    assert "code" in choose(_url(standins, segment), account=account)


def test_unknown_account_gets_page(standins: StandIns, browser: httpx2.Client) -> None:
    answer = browser.post(_url(standins), data={"account": "<script>alert(1)</script>"})
    assert answer.status_code == 400
    assert "AADSTS50034" in answer.text
    assert "<script" not in answer.text


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    ("segment", "changes", "code"),
    [
        ("unknown", {}, "AADSTS90002"),
        (None, {"client_id": None}, "AADSTS900144"),
        (None, {"client_id": "33333333-3333-4333-8333-333333333333"}, "AADSTS700016"),
        (None, {"redirect_uri": None}, "AADSTS900971"),
        (None, {"redirect_uri": "https://evil.example/auth/callback"}, "AADSTS50011"),
        (None, {"redirect_uri": f"{REDIRECT_URI}/"}, "AADSTS50011"),
        (None, {"redirect_uri": f"{REDIRECT_URI}?a=b"}, "AADSTS50011"),
        (None, {"redirect_uri": f"{REDIRECT_URI}#a"}, "AADSTS50011"),
        (None, {"redirect_uri": REDIRECT_URI.replace("7071", "7072")}, "AADSTS50011"),
        (None, {"redirect_uri": REDIRECT_URI.replace("localhost", "127.0.0.1")}, "AADSTS50011"),
        (None, {"redirect_uri": "javascript:alert(1)"}, "AADSTS50011"),
        (None, {"redirect_uri": '"><script>alert(1)</script>'}, "AADSTS50011"),
    ],
)
def test_unregistered_client_or_address_is_never_redirected(
    standins: StandIns,
    browser: httpx2.Client,
    method: str,
    segment: str | None,
    changes: dict[str, str | None],
    code: str,
) -> None:
    answer = browser.request(method, _url(standins, segment, **changes), data={"account": "user"})
    assert answer.status_code == 400
    assert "location" not in answer.headers
    assert code in answer.text
    assert "<script" not in answer.text


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    ("changes", "error", "code"),
    [
        ({"response_type": None}, "invalid_request", 900144),
        ({"response_type": "id_token"}, "unsupported_response_type", 700054),
        ({"response_mode": "smoke"}, "invalid_request", 90023),
        ({"scope": None}, "invalid_request", 900144),
        ({"scope": "  "}, "invalid_request", 900144),
        ({"scope": "access_as_user"}, "invalid_client", 650053),
        ({"scope": "https://graph.microsoft.com/No.Such"}, "invalid_client", 650053),
        ({"scope": "api://somebody-else/access_as_user"}, "invalid_resource", 500011),
        ({"scope": "https://graph.microsoft.com/.default User.Read"}, "invalid_scope", 70011),
        ({"scope": "/User.Read"}, "invalid_scope", 70011),
        ({"resource": "http://localhost:7071/mcp"}, "invalid_target", 9010010),
        ({"resource": "https://vault.azure.net"}, "invalid_target", 9010010),
        ({"code_challenge": "short"}, "invalid_request", 501491),
        ({"code_challenge": CHALLENGE + "="}, "invalid_request", 501491),
        ({"code_challenge_method": "S512"}, "invalid_request", 90023),
        ({"code_challenge": None}, "invalid_request", 900144),
        ({"prompt": "coffee"}, "invalid_request", 90023),
        ({"prompt": "none"}, "login_required", 50058),
    ],
)
def test_faulty_request_of_known_client_redirects_with_error(
    standins: StandIns, browser: httpx2.Client, method: str, changes: dict[str, str | None], error: str, code: int
) -> None:
    callback = _callback(browser.request(method, _url(standins, **changes), data={"account": "user"}))
    assert callback["error"] == error
    assert callback["error_description"].startswith(f"AADSTS{code}: ")
    assert callback["error_uri"] == f"{standins.entra_url}/error?code={code}"
    assert callback["state"] == "st&te"
    assert "code" not in callback


@pytest.mark.parametrize(
    "changes",
    [
        {"prompt": None},
        {"prompt": "login"},
        {"prompt": "consent"},
        {"resource": "api://22222222-2222-4222-8222-222222222222"},
        {"code_challenge": None, "code_challenge_method": None},
        {"response_mode": "query"},
        {"client_id": "22222222-2222-4222-8222-222222222222".upper()},
        {"scope": "openid"},
        {"scope": "22222222-2222-4222-8222-222222222222/.default"},
    ],
)
def test_variants_of_a_good_request_sign_in(standins: StandIns, changes: dict[str, str | None]) -> None:
    assert "code" in choose(_url(standins, **changes), account="user")


def test_state_is_absent_from_callback_when_absent_from_request(standins: StandIns) -> None:
    assert "state" not in choose(_url(standins, state=None), account="user")


def test_fragment_response_mode_keeps_code_out_of_query(standins: StandIns, browser: httpx2.Client) -> None:
    answer = browser.post(_url(standins, response_mode="fragment"), data={"account": "user"})
    location = urlsplit(answer.headers["location"])
    assert not location.query
    assert set(parse_qs(location.fragment)) == {"code", "state", "session_state"}


def test_form_post_response_mode_posts_to_redirect_uri(standins: StandIns, browser: httpx2.Client) -> None:
    answer = browser.post(_url(standins, response_mode="form_post"), data={"account": "user"})
    assert answer.status_code == 200
    assert form_action(answer.text) == REDIRECT_URI
    assert 'name="code"' in answer.text
    assert 'value="st&amp;te"' in answer.text


@pytest.mark.parametrize(
    ("target", "status"),
    [(None, 200), ("http://localhost:7071/bye", 302), ("https://evil.example/", 200), ("javascript:alert(1)", 200)],
)
def test_logout_redirects_to_own_app_only(
    standins: StandIns, browser: httpx2.Client, target: str | None, status: int
) -> None:
    query = {"post_logout_redirect_uri": target} if target else {}
    answer = browser.get(f"{standins.sign_in_url}/{standins.tenant_id}/oauth2/v2.0/logout", params=query)
    assert answer.status_code == status
    assert answer.headers.get("location") == (target if status == 302 else None)


@pytest.mark.parametrize("code", ["50011", "1", "", "x", "9" * 30])
def test_error_page_explains_any_code(standins: StandIns, browser: httpx2.Client, code: str) -> None:
    assert "AADSTS" in browser.get(f"{standins.sign_in_url}/error", params={"code": code}).text
