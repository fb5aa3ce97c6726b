"""Which account of Application Insights the local host sends to, by the app's connection string."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.host.application_insights import SETTING, ApplicationInsights
from local.host.errors import AppBrokenError, HostError
from local.host.settings_files import HostConfig
from local.host.state import AppState

KEY, ENDPOINT = "InstrumentationKey=k", "IngestionEndpoint=https://127.0.0.1:1/"


@pytest.mark.parametrize(
    ("connection", "missing"),
    [
        (KEY, "has no IngestionEndpoint"),
        (ENDPOINT, "has no InstrumentationKey"),
        (f"InstrumentationKey=;{ENDPOINT}", "has no InstrumentationKey"),
        ("k", "has no InstrumentationKey and no IngestionEndpoint"),
    ],
)
def test_connection_string_without_a_part_is_refused(connection: str, missing: str) -> None:
    with pytest.raises(HostError, match=rf"^APPLICATIONINSIGHTS_CONNECTION_STRING {missing}\.$"):
        ApplicationInsights({SETTING: connection}, log_levels={})


@pytest.mark.parametrize("environment", [{}, {SETTING: ""}, {SETTING: f"{KEY};{ENDPOINT}"}])
def test_whole_connection_string_and_none_are_taken(environment: dict[str, str]) -> None:
    ApplicationInsights(environment, log_levels={})


async def test_host_ends_with_what_the_connection_string_lacks() -> None:
    state = AppState(app=Path(), port=0, configure=lambda: (HostConfig(), {SETTING: KEY}), watched=False)
    with pytest.raises(AppBrokenError, match="has no IngestionEndpoint"):
        await state.run()
