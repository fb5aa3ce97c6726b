"""Numbers that the guides give are those of the code and of the templates."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from entra_mcp.vault.keys import ACTIVATION_SECONDS
from entra_mcp.vault.rotation import FOLLOW_SECONDS
from local.config import REPOSITORY
from ops.client_secret import LIFETIMES, RENEW_BEFORE
from ops.signing_key import KEY_BYTES, MARGIN_DAYS, MAX_VERSIONS, TOKEN_LIFETIME_DAYS
from ops.smoke.discovery import DEPLOY_WAITS
from tests.infra.template import INFRA, main, properties

OPERATE = " ".join((REPOSITORY / "docs" / "operate.md").read_text("utf-8").split())
DEPLOY = " ".join((REPOSITORY / "docs" / "deploy.md").read_text("utf-8").split()).translate(
    {ord("\N{MULTIPLICATION SIGN}"): "x", ord("\N{MINUS SIGN}"): "-"}
)
ALERTS = (INFRA / "modules" / "alerts.bicep").read_text("utf-8")
NETWORK = (INFRA / "modules" / "network.bicep").read_text("utf-8")

WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def preset(name: str) -> dict[str, str]:
    return properties(properties(main().value("var", "presets") or "")[name])


def rules() -> dict[str, str]:
    """The threshold of each alert, by its title."""
    return dict(re.findall(r"title: '([^']+)'.*?threshold: (\d+)", ALERTS, re.DOTALL))


@pytest.mark.parametrize(
    "sentence",
    [
        f"`azd up` creates it, for {LIFETIMES[0]} days",
        f"renew it when it has {RENEW_BEFORE.days} days left (a third of its life",
        f"a version of {KEY_BYTES} random bytes",
        f"Servers know it within {WORDS[round(FOLLOW_SECONDS / 60)]} minutes",
        f"sign with it once it is {WORDS[round(ACTIVATION_SECONDS / 60)]} minutes old",
        f"{TOKEN_LIFETIME_DAYS + MARGIN_DAYS} days by default",
        f"It is {MARGIN_DAYS} days after the last token",
        f"`MCP_SESSION_DAYS` is more than {TOKEN_LIFETIME_DAYS}",
        f"Servers read at most {WORDS[MAX_VERSIONS]} enabled versions",
        f"It waits up to {WORDS[round(sum(DEPLOY_WAITS) / 60)]} minutes",
        f"A secret expires within {RENEW_BEFORE.days} days",
    ],
)
def test_operators_guide_says(sentence: str) -> None:
    assert sentence in OPERATE


def test_deploying_as_often_as_the_guide_says_keeps_the_client_secret_good() -> None:
    assert "if you run one at least every four weeks, or more often where its life is under 90 days" in OPERATE
    window = min(RENEW_BEFORE, timedelta(days=90) / 3)
    assert timedelta(weeks=4) <= window, "one of them has to fall into the window before the end"


def test_alerts_are_those_of_the_guide_with_their_thresholds() -> None:
    table = (REPOSITORY / "docs" / "operate.md").read_text("utf-8").partition("## Alerts")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| ([A-Z][^|]+) \| ([^|]+) \|", table, re.MULTILINE))
    vaults_own = "A secret expires within 30 days"
    assert set(rows) == {*rules(), vaults_own}
    for title, threshold in rules().items():
        number = re.search(r"[Mm]ore than (\d+)", rows[title])
        assert (number[1] if number else "0") == threshold, title
    assert "Each looks at fifteen minutes" in table
    assert re.findall(r"evaluationFrequency: '(\w+)'", ALERTS) == ["PT15M"]
    assert "windowSize: union({ window: 'PT15M' }, rule).window" in ALERTS
    for title, window in re.findall(r"title: '([^']+)'(?:(?!title: ).)*?window: '(\w+)'\n  \}", ALERTS, re.DOTALL):
        assert {"PT1H": "In the last hour", "P1D": "in the last day"}[window] in rows[title]


@pytest.mark.parametrize("name", ["dev", "prod"])
def test_presets_of_the_guide_are_those_of_the_templates(name: str) -> None:
    column = 1 if name == "dev" else 2
    rows = [
        line.strip("| ").split(" | ") for line in (REPOSITORY / "docs" / "deploy.md").read_text("utf-8").splitlines()
    ]
    logs = next(row for row in rows if row[0].startswith("logs kept"))[column]
    vault = next(row for row in rows if row[0].startswith("a deleted vault"))[column]
    size = preset(name)
    cap = "no limit" if size["logDailyCapGb"] == "-1" else f"{size['logDailyCapGb']} GB"
    assert logs == f"{size['logRetentionDays']} days, {cap}"
    assert vault.startswith(f"{size['softDeleteDays']} days, ")
    assert ("nobody can purge" in vault) is (size["purgeProtection"] == "true")
    for variable, key in {
        "MAXIMUM_INSTANCE_COUNT": "maximumInstanceCount",
        "ALWAYS_READY_INSTANCES": "alwaysReadyInstances",
        "STORAGE_SKU": "storageSku",
    }.items():
        given = next(row for row in rows if row[0] == f"`{variable}`")[1].removeprefix("by preset: ").split(", ")
        assert given[column - 1] == size[key].strip("'")
