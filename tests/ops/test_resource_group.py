"""azd deploys to the group that the template names, whatever other groups of the subscription carry the same tag."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from local.config import REPOSITORY
from ops.deployment import resource_group
from ops.environment import Environment
from tests.infra.template import main

AZURE: dict[str, Any] = yaml.safe_load((REPOSITORY / "azure.yaml").read_text("utf-8"))


def substituted(text: str, values: dict[str, str]) -> str:
    """`${NAME}` and `${NAME=default}`, from the inside out; an empty value counts as none, as azd has it."""
    while found := re.search(r"\$\{(\w+)(?:=([^${}]*))?\}", text):
        text = f"{text[: found.start()]}{values.get(found[1]) or found[2] or ''}{text[found.end() :]}"
    return text


@pytest.mark.parametrize(
    ("values", "group"),
    [
        ({"AZURE_ENV_NAME": "dev"}, "rg-dev"),
        ({"AZURE_ENV_NAME": "dev", "AZURE_RESOURCE_GROUP": ""}, "rg-dev"),
        ({"AZURE_ENV_NAME": "dev", "AZURE_RESOURCE_GROUP": "rg-shared"}, "rg-shared"),
    ],
)
def test_group_of_azure_yaml_is_the_one_that_commands_look_at(values: dict[str, str], group: str) -> None:
    assert substituted(AZURE["resourceGroup"], values) == resource_group(Environment(values)) == group


def test_group_of_the_template_has_the_same_default() -> None:
    names = main().value("var", "names") or ""
    assert "empty(resourceGroupName) ? 'rg-${environmentName}' : resourceGroupName" in names


def test_deployment_of_the_pipeline_is_tried_twice() -> None:
    """A role that was given a moment ago does not count everywhere yet."""
    workflow = yaml.safe_load((REPOSITORY / ".github" / "workflows" / "azure-dev.yml").read_text("utf-8"))
    (command,) = [one["run"] for one in workflow["jobs"]["deploy"]["steps"] if "azd deploy" in one.get("run", "")]
    assert re.fullmatch(
        r"(azd deploy server --from-package \S+ --no-prompt) \|\| \{ sleep \d+; \1; \}", command.strip()
    )
