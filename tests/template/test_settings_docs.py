"""docs/settings.md and the sample file name the settings that there are, the sample app's included."""

from __future__ import annotations

import json

from app.server import server
from entra_mcp.settings import Settings
from local.config import REPOSITORY

NAMES = Settings.names() | server.settings.names()


def test_every_setting_is_documented() -> None:
    documented = (REPOSITORY / "docs" / "settings.md").read_text("utf-8")
    assert {name for name in NAMES if f"`{name}`" not in documented} == set[str]()


def test_sample_file_names_only_settings_and_the_platform_s_own_variables() -> None:
    sample = json.loads((REPOSITORY / "local.settings.sample.json").read_text("utf-8"))
    platform = {
        "FUNCTIONS_WORKER_RUNTIME",
        "AzureWebJobsDisableHomepage",
        "IDENTITY_HEADER",
        "SSL_CERT_FILE",
        "REQUESTS_CA_BUNDLE",
    }
    assert set(sample["Values"]) - NAMES == platform


def test_engine_is_tested_with_the_host_settings_of_this_repository() -> None:
    own, tested = (REPOSITORY / "host.json", REPOSITORY / "tests" / "support" / "app" / "host.json")
    assert own.read_text("utf-8") == tested.read_text("utf-8")
