"""Names: short enough and of allowed characters, however long the environment's name is."""

from __future__ import annotations

import re

import pytest

from tests.infra.template import Template, main, properties, templates

TOKEN = "abcdefghijklm"
"""As long as what uniqueString() gives: 13 small letters and digits."""

RULES = {
    "resourceGroup": r"[\w().-]{0,89}[\w()-]",
    "identity": r"[A-Za-z0-9][\w-]{2,127}",
    "workspace": r"[A-Za-z0-9][A-Za-z0-9-]{2,61}[A-Za-z0-9]",
    "applicationInsights": r"[^%&\\?/]{0,259}[^%&\\?/.]",
    "storage": r"[a-z0-9]{3,24}",
    "vault": r"[A-Za-z](?!.*--)[A-Za-z0-9-]{1,22}[A-Za-z0-9]",
    "network": r"[A-Za-z0-9][\w.-]{0,62}\w",
    "plan": r"[A-Za-z0-9-]{1,60}",
    "functionApp": r"[A-Za-z0-9][A-Za-z0-9-]{0,30}[A-Za-z0-9]",
    "application": r"[A-Za-z0-9-]{1,120}",
}
"""https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules; the function app's is
shorter, for the host cuts its id off after 32 characters."""


def names(environment: str) -> dict[str, str]:
    found = properties(main().value("var", "names") or "")
    found["resourceGroup"] = re.sub(r"^.*\? ('[^']*') : .*$", r"\1", found["resourceGroup"])
    return {
        key: value.strip("'").replace("${token}", TOKEN).replace("${environmentName}", environment)
        for key, value in found.items()
    }


@pytest.mark.parametrize("environment", ["d", "entra-mcp-dev", "a" * 64, "Prod_west-europe.2-" + "x" * 45])
def test_names_fit_for_any_environment(environment: str) -> None:
    made = names(environment)
    assert made.keys() == RULES.keys()
    for key, name in made.items():
        assert "$" not in name
        assert re.fullmatch(RULES[key], name), name


def test_names_that_the_world_shares_hold_a_token_of_subscription_environment_and_region() -> None:
    region = "toLower(replace(location, ' ', ''))"
    assert main().value("var", "token") == f"toLower(uniqueString(subscription().id, environmentName, {region}))"
    shared = {"storage", "vault", "functionApp", "application"}
    assert all(TOKEN in name for key, name in names("x").items() if key in shared)


def test_display_name_is_cut_to_what_entra_id_takes() -> None:
    assert (
        main().value("var", "applicationDisplayName")
        == "take('${empty(serverName) ? 'MCP server' : serverName} (${environmentName})', 120)"
    )


def test_every_resource_that_can_is_tagged() -> None:
    without = {
        "Microsoft.Authorization/locks",
        "Microsoft.Authorization/roleAssignments",
        "Microsoft.Consumption/budgets",
        "Microsoft.Insights/diagnosticSettings",
        "Microsoft.KeyVault/vaults/secrets",
        "Microsoft.Network/privateEndpoints/privateDnsZoneGroups",
        "Microsoft.Web/sites/basicPublishingCredentialsPolicies",
        "Microsoft.Web/sites/config",
    }
    for template in templates():
        for resource in template.of("resource").values():
            kind = re.match(r" '([^@']+)", resource.head)
            assert kind is not None
            if kind[1] in without or kind[1].startswith("Microsoft.Graph/") or " existing " in resource.head:
                continue
            assert re.search(r"^\s+tags: (tags|union\(tags)", resource.text, re.MULTILINE), resource.name


def test_service_of_azure_yaml_is_the_tag_of_the_function_app() -> None:
    import yaml

    from local.config import REPOSITORY

    services = yaml.safe_load((REPOSITORY / "azure.yaml").read_text("utf-8"))["services"]
    app = Template(main().module_file("functionApp")).of("resource")["app"].text
    assert re.findall(r"'azd-service-name': '(\w+)'", app) == list(services)
    assert (main().value("var", "tags") or "").endswith("{\n    'azd-env-name': environmentName\n  }\n)"), "it wins"
