"""The app's settings on a laptop: the sample fits the defaults, and follows other ports without being edited."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from local.app_settings import OWN, SAMPLE, AppSettings, load_settings, placed_settings, read_settings
from local.config import CLIENT_ID, IDENTITY_CLIENT_ID, IDENTITY_HEADER, TENANT_ID, LocalConfig, Ports
from local.host.errors import SettingsFileError
from tests.local.place import settings_file
from tests.support.standins import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

TENANTS = (TENANT_ID, "organizations", "consumers")
OTHER = LocalConfig(
    ports=Ports(functions=8071, blob=8000, queue=8001, table=8002, entra=8443, sign_in=8080, vault=8444)
)


@pytest.fixture(autouse=True)
def sample_of_the_template(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a person changed is what differs from the sample, which a fork changes."""
    monkeypatch.setattr("local.app_settings.REPOSITORY", SETTINGS.parent)


def at(config: LocalConfig, settings: AppSettings | None = None, *, environment: Mapping[str, str] = {}) -> AppSettings:
    """The settings, or those of the sample, for a run at other places or from another shell."""
    return replace(settings or read_settings(SETTINGS), config=config, environment=environment)


def test_sample_says_what_the_default_places_are() -> None:
    values = read_settings(SETTINGS).values
    placed = placed_settings(LocalConfig())
    assert {name: values[name] for name in placed} == placed
    assert values["ENTRA_TENANT_ID"] in TENANTS
    assert values["ENTRA_AUTHORIZATION_ENDPOINT"] == LocalConfig().authorization_endpoint(values["ENTRA_TENANT_ID"])
    assert values["ENTRA_CLIENT_ID"] == CLIENT_ID
    assert values["IDENTITY_HEADER"] == IDENTITY_HEADER
    assert values["AZURE_CLIENT_ID"] == IDENTITY_CLIENT_ID


def test_unedited_sample_needs_no_overrides_at_the_default_places() -> None:
    assert at(LocalConfig()).overrides == {}


def test_settings_are_shown_without_the_environment() -> None:
    assert "from the shell" not in repr(at(LocalConfig(), environment={"TOKEN": "from the shell"}))


def test_sample_follows_other_ports() -> None:
    changed = at(OTHER).overrides
    assert changed["MCP_BASE_URL"] == "http://localhost:8071"
    assert changed["ENTRA_AUTHORITY"] == "127.0.0.1:8443"
    assert changed["ENTRA_AUTHORIZATION_ENDPOINT"].startswith("http://localhost:8080/")
    assert changed["KEY_VAULT_URL"] == "https://127.0.0.1:8444"
    assert changed["GRAPH_BASE_URL"] == "https://127.0.0.1:8443/graph"
    assert "TableEndpoint=http://127.0.0.1:8002/" in changed["AzureWebJobsStorage"]
    assert "SSL_CERT_FILE" not in changed


@pytest.mark.parametrize("tenant", TENANTS)
@pytest.mark.parametrize("config", [LocalConfig(), OTHER])
def test_sign_in_page_is_that_of_the_tenant_wherever_it_is_set(
    tmp_path: Path, tenant: str, config: LocalConfig
) -> None:
    name, page = "ENTRA_AUTHORIZATION_ENDPOINT", config.authorization_endpoint(tenant)
    for usual in TENANTS:
        endpoint = LocalConfig().authorization_endpoint(usual)
        settings_file(tmp_path / OWN, ENTRA_TENANT_ID=tenant, ENTRA_AUTHORIZATION_ENDPOINT=endpoint)
        settings = at(config, load_settings(tmp_path))
        assert (settings.signs_in_locally, settings.tenant, settings.effective[name]) == (True, tenant, page)
    settings_file(tmp_path / OWN, ENTRA_TENANT_ID=None)
    settings = at(config, load_settings(tmp_path), environment={"ENTRA_TENANT_ID": tenant, name: "https://x.example"})
    assert (settings.tenant, settings.effective[name]) == (tenant, page)


def test_other_home_moves_the_certificates(tmp_path: Path) -> None:
    changed = at(LocalConfig(home=tmp_path)).overrides
    assert changed == dict.fromkeys(("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"), str(tmp_path / "tls" / "bundle.pem"))


def test_certificates_of_the_shell_give_way_to_the_local_ones() -> None:
    settings = at(LocalConfig(), environment={"SSL_CERT_FILE": "/company/roots.pem"})
    assert settings.overrides == {"SSL_CERT_FILE": ".local/tls/bundle.pem"}


def test_sample_wins_over_what_the_shell_exports_for_other_places() -> None:
    shell = {"AZURE_CLIENT_ID": "mine", "AUTH_MODE": "verify", "ENTRA_TENANT_ID": "mine", "MCP_SERVER_NAME": "mine"}
    settings, shadowed = at(LocalConfig(), environment=shell), ["AUTH_MODE", "AZURE_CLIENT_ID", "ENTRA_TENANT_ID"]
    assert settings.overrides == {name: settings.values[name] for name in shadowed}
    assert settings.ignored == shadowed
    assert not settings.verifies


def test_shell_wins_over_a_file_of_ones_own_and_where_sign_in_is_elsewhere(tmp_path: Path) -> None:
    settings_file(tmp_path / OWN, AZURE_CLIENT_ID="in my file")
    shell = {"AZURE_CLIENT_ID": "mine", "AUTH_MODE": "verify", "HTTPS_PROXY": "http://proxy", "no_proxy": "x"}
    settings = at(LocalConfig(), load_settings(tmp_path), environment=shell)
    assert settings.overrides == {"AUTH_MODE": "proxy"}
    assert settings.ignored == ["AUTH_MODE", "HTTPS_PROXY"]
    elsewhere = "https://login.microsoftonline.com/x"
    settings_file(tmp_path / OWN, AZURE_CLIENT_ID="in my file", ENTRA_AUTHORIZATION_ENDPOINT=elsewhere)
    settings = at(LocalConfig(), load_settings(tmp_path), environment=shell)
    assert settings.overrides == {}
    assert settings.verifies
    assert settings.inherited == shell


@pytest.mark.parametrize(
    "name", ["IDENTITY_SERVER_THUMBPRINT", "ALL_PROXY", "all_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"]
)
def test_variable_that_leads_away_from_the_local_services_is_a_stray(name: str) -> None:
    settings = at(LocalConfig(), environment={name: "x", "PATH": "/bin", "NO_PROXY": "y"})
    assert settings.strays == (name,)
    assert [*settings.inherited] == ["PATH", "NO_PROXY"]


def test_file_that_is_not_utf_8_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / OWN).write_text((SETTINGS).read_text(), encoding="utf-16")
    with pytest.raises(SettingsFileError, match="is not UTF-8"):
        load_settings(tmp_path)


def test_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    (tmp_path / OWN).write_text('{"Values": {"A": "b"}}', encoding="utf-8-sig")
    assert load_settings(tmp_path).values == {"A": "b"}


def test_value_that_a_person_changed_stays(tmp_path: Path) -> None:
    settings_file(tmp_path / OWN, KEY_VAULT_URL="https://mine.vault.azure.net", GRAPH_BASE_URL=None)
    settings = at(OTHER, load_settings(tmp_path), environment={"SSL_CERT_FILE": "x"})
    changed = settings.overrides
    assert settings.file.name == OWN
    assert "KEY_VAULT_URL" not in changed
    assert "GRAPH_BASE_URL" not in changed
    assert changed["MCP_BASE_URL"] == "http://localhost:8071"


def test_own_file_wins_over_the_sample_and_the_sample_serves_without_one(tmp_path: Path) -> None:
    (tmp_path / SAMPLE).write_text('{"Values": {"A": "sample"}}')
    assert load_settings(tmp_path).values == {"A": "sample"}
    (tmp_path / OWN).write_text('{"Values": {"A": "own"}}')
    assert load_settings(tmp_path).values == {"A": "own"}


@pytest.mark.parametrize("endpoint", ["https://login.microsoftonline.com/x", None])
def test_sign_in_at_microsoft_is_told_from_the_local_one(tmp_path: Path, endpoint: str | None) -> None:
    settings_file(tmp_path / OWN, ENTRA_AUTHORIZATION_ENDPOINT=endpoint)
    assert not load_settings(tmp_path).signs_in_locally
    assert read_settings(SETTINGS).signs_in_locally


def test_registration_follows_the_settings_of_the_file_and_of_the_shell(tmp_path: Path) -> None:
    values = {"ENTRA_REQUIRED_SCOPES": "orders.use", "ENTRA_ADDITIONAL_SCOPES": "openid,Mail.Send  Sites.Read.All"}
    values["ENTRA_OPTIONAL_SCOPES"] = "orders.approve"
    (tmp_path / OWN).write_text(json.dumps({"Values": values}))
    shell = {"ENTRA_REQUIRED_SCOPES": "orders.see", "ENTRA_ALLOWED_APP_ROLES": "Tasks.Run", "ENTRA_IDENTIFIER_URI": " "}
    assert at(LocalConfig(), load_settings(tmp_path), environment=shell).registration == (
        "--scopes=orders.see",
        "--optional-scopes=orders.approve",
        "--additional-scopes=openid Mail.Send  Sites.Read.All",
        "--app-roles=Tasks.Run",
    )
    assert at(LocalConfig()).registration == ()


def test_settings_of_any_name_that_lead_to_an_api_of_the_directory_follow_the_port(tmp_path: Path) -> None:
    values = {
        "ORDERS_API_URL": "https://127.0.0.1:7443/apis/orders",
        "STOCK_API_URL": "https://stock.example/apis/stock",
        "ELSE_URL": "https://127.0.0.1:7443/else",
    }
    (tmp_path / OWN).write_text(json.dumps({"Values": values}))
    settings = load_settings(tmp_path)
    assert at(LocalConfig(), settings).overrides == {}
    assert at(OTHER, settings).overrides == {"ORDERS_API_URL": "https://127.0.0.1:8443/apis/orders"}
    assert at(OTHER, settings, environment={"ORDERS_API_URL": "https://mine.example"}).overrides == {}
