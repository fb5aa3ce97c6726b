"""The guide to environments, domains and clouds says what the workflow and the commands do."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml

from local.config import REPOSITORY
from ops.clouds import NAMED

GUIDE = (REPOSITORY / "docs" / "environments.md").read_text("utf-8")
WORKFLOW: dict[str, Any] = yaml.safe_load((REPOSITORY / ".github" / "workflows" / "azure-dev.yml").read_text("utf-8"))


def test_second_environment_gets_the_same_commit_the_same_way_after_the_first_and_an_approval() -> None:
    deploy, promote = WORKFLOW["jobs"]["deploy"], WORKFLOW["jobs"]["promote"]
    assert promote["needs"] == "deploy"
    assert promote["steps"] == deploy["steps"]
    assert promote["env"] == deploy["env"]
    assert "ref" not in json.dumps(promote["steps"][0]), "the commit of the run"
    assert "environment" not in deploy
    assert promote["environment"] == "${{ vars.PROMOTE_TO }}"
    assert promote["if"] == "vars.PROMOTE_TO != ''"
    assert "env" not in WORKFLOW, "variables of a GitHub environment are known to its job alone"
    assert "concurrency" not in WORKFLOW, "a run that waits for an approval would keep the next one from its first job"
    assert promote["concurrency"]["group"] != deploy["concurrency"]["group"]


def test_variables_of_the_guide_are_those_of_the_workflow() -> None:
    named = re.findall(r"gh variable set (\w+)(?: --env \w+)? --body", GUIDE)
    assert set(named) <= {*WORKFLOW["jobs"]["deploy"]["env"], "PROMOTE_TO"}
    assert "PROMOTE_TO" in named


def test_federated_credential_of_the_guide_is_one_that_entra_takes() -> None:
    (found,) = re.findall(r"--parameters \\\n  '(\{.*\})'", GUIDE)
    credential = json.loads(found)
    assert credential["subject"] == "repo:<owner>/<repository>:environment:prod"
    assert credential["audiences"] == [NAMED["AzureCloud"].exchange_audience]


@pytest.mark.parametrize("cloud", ["AzureUSGovernment", "AzureChinaCloud"])
def test_sovereign_cloud_is_described_as_the_commands_know_it(cloud: str) -> None:
    section = GUIDE.partition("## Sovereign clouds")[2].partition("\n## ")[0]
    for value in (cloud, NAMED[cloud].authority, NAMED[cloud].exchange_audience):
        assert f"`{value}`" in section


def test_anchors_of_the_guide_and_to_it_are_there() -> None:
    for document in (REPOSITORY / "docs").glob("*.md"):
        for target, anchor in re.findall(r"\]\((\w+\.md)#([a-z-]+)\)", document.read_text("utf-8")):
            if "environments.md" in {target, document.name}:
                text = (REPOSITORY / "docs" / target).read_text("utf-8")
                headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
                slugs = {re.sub(r"[^a-z -]", "", one.lower()).replace(" ", "-") for one in headings}
                assert anchor in slugs, f"{document.name}: {target}#{anchor}"
