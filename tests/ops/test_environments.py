"""The guide to environments, domains and clouds says what the workflow and the commands do."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from local.config import REPOSITORY
from ops.clouds import NAMED
from ops.commands.package import STAGE

if TYPE_CHECKING:
    from pathlib import Path

GUIDE = (REPOSITORY / "docs" / "environments.md").read_text("utf-8")
WORKFLOW: dict[str, Any] = yaml.safe_load((REPOSITORY / ".github" / "workflows" / "azure-dev.yml").read_text("utf-8"))


def using(job: str, action: str) -> dict[str, Any]:
    (found,) = [step for step in WORKFLOW["jobs"][job]["steps"] if step.get("uses", "").startswith(f"{action}@")]
    return found


def test_second_environment_gets_the_same_commit_the_same_way_after_the_first_and_an_approval() -> None:
    deploy, promote = WORKFLOW["jobs"]["deploy"], WORKFLOW["jobs"]["promote"]
    assert promote["needs"] == "deploy"
    shared = [step for step in promote["steps"] if step in deploy["steps"]]
    assert [step["name"] for step in shared if "name" in step] == ["Sign in", "Provision", "Deploy", "Smoke test"]
    assert len(promote["steps"]) == len(shared) + 2, "the package of the first job, and the refusal"
    assert promote["env"] == deploy["env"]
    assert "ref" not in using("promote", "actions/checkout")["with"], "the commit of the run"
    assert "environment" not in deploy
    assert promote["environment"] == "${{ vars.PROMOTE_TO }}"
    assert promote["if"] == "vars.PROMOTE_TO != ''"
    assert "env" not in WORKFLOW, "variables of a GitHub environment are known to its job alone"
    assert "concurrency" not in WORKFLOW, "a run that waits for an approval would keep the next one from its first job"
    assert promote["concurrency"]["group"] != deploy["concurrency"]["group"]


def test_package_is_made_once_and_deployed_to_both_environments() -> None:
    commands = [step.get("run", "") for step in WORKFLOW["jobs"]["deploy"]["steps"]]
    (packaged,) = [command for command in commands if "azd package" in command]
    (deployed,) = [command for command in commands if "azd deploy" in command]
    package = re.findall(r"azd package server --output-path (\S+)", packaged)
    assert re.findall(r"azd deploy server --from-package (\S+)", deployed) == package * 2
    assert deployed.count("azd deploy") == 2
    assert "azd package" not in json.dumps(WORKFLOW["jobs"]["promote"])
    kept, fetched = (
        using("deploy", "actions/upload-artifact")["with"],
        using("promote", "actions/download-artifact")["with"],
    )
    assert [kept["path"]] == package == [f"{fetched['path']}/server.zip"]
    assert kept["name"] == fetched["name"]
    assert kept["include-hidden-files"] is True, "else a folder that begins with a dot is left out"
    assert set(re.findall(r"--(?:output-path|from-package) (\S+)", GUIDE)) == set(package)
    assert package[0].startswith(f"{STAGE.parent}/"), "else the next package holds this one"


SHARED_BY_NONE = {
    "AZURE_ENV_NAME": "dev",
    "AZURE_RESOURCE_GROUP": "rg-dev",
    "MCP_CUSTOM_BASE_URL": "https://dev.contoso.com",
    "ENTRA_EXISTING_CLIENT_ID": "one",
    "ENTRA_EXISTING_IDENTIFIER_URI": "api://one.contoso.com",
    "NETWORK_FUNCTIONS_SUBNET_ID": "",
}


@pytest.mark.parametrize("name", [name for name, value in SHARED_BY_NONE.items() if value])
def test_promotion_stops_first_where_a_variable_of_the_first_environment_is_left(name: str, tmp_path: Path) -> None:
    deploy, refusal = WORKFLOW["jobs"]["deploy"], WORKFLOW["jobs"]["promote"]["steps"][0]
    assert deploy["outputs"] == {each: f"${{{{ vars.{each} }}}}" for each in SHARED_BY_NONE}
    assert (refusal["shell"], refusal["env"]) == ("python", {"FIRST": "${{ toJSON(needs.deploy.outputs) }}"})
    own = {each: value and f"other {value}" for each, value in SHARED_BY_NONE.items()}
    kept = tmp_path / "environment"
    cases = (
        (own, 0, ""),
        (own | {name: SHARED_BY_NONE[name]}, 1, f"of its own, or none, for {name}."),
        (own | {name: "none"}, 0, ""),
    )
    for given, code, text in cases:
        environment = {**given, "FIRST": json.dumps(SHARED_BY_NONE), "GITHUB_ENV": str(kept)}
        command = [sys.executable, "-c", refusal["run"]]
        finished = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert (finished.returncode, text in finished.stderr) == (code, True)
    assert kept.read_text() == f"{name}=\n", "which the steps after it see"
    assert f"`{name}`" in GUIDE


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
