"""Outputs: what the tools read is there, and nothing of it is a secret, for azd keeps outputs in a plain file."""

from __future__ import annotations

import re

from entra_mcp.settings import Settings
from local.config import REPOSITORY
from tests.infra.template import identifiers, main, templates
from tests.infra.test_parameters import variables
from tests.support.sources import python_files

READ_BY_TOOLS = {
    "AZURE_CLOUD_NAME",
    "AZURE_DIRECTORY_ID",
    "AZURE_FUNCTION_APP_NAME",
    "AZURE_KEY_VAULT_ID",
    "AZURE_KEY_VAULT_NAME",
    "AZURE_STORAGE_ACCOUNT_NAME",
    "ENTRA_APP_OBJECT_ID",
    "ENTRA_APP_UNIQUE_NAME",
    "ENTRA_CLIENT_ID",
    "ENTRA_TENANT_ID",
    "MCP_BASE_URL",
    "MCP_URL",
}

OF_AZD = {
    "AZURE_ENV_NAME",
    "AZURE_PRINCIPAL_ID",
    "AZURE_PRINCIPAL_TYPE",
    "AZURE_SUBSCRIPTION_ID",
    "AZURE_TENANT_ID",
}
OF_LIBRARIES = {"AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_AUTHORITY_HOST"}
"""Read by azure-identity, which signs the tools in."""

ADDRESSES = {"AZURE_RESOURCE_MANAGER_URL", "AZURE_LOGS_URL"}
"""Of Azure itself, for a cloud of one's own; ops knows those of the public ones."""


def test_every_output_that_a_tool_reads_exists() -> None:
    assert set(main().of("output")) >= READ_BY_TOOLS


def test_every_variable_that_the_tools_name_exists() -> None:
    settings = {str(field.validation_alias) for field in Settings.model_fields.values()}
    inputs = {variable for variable, _ in variables().values()}
    known = set(main().of("output")) | inputs | settings | OF_AZD | OF_LIBRARIES | ADDRESSES
    for file in python_files(REPOSITORY / "ops"):
        named = set(re.findall(r"[\"']((?:AZURE|ENTRA|MCP|AUTH)_[A-Z0-9_]+)[\"']", file.read_text("utf-8")))
        assert named <= known, f"{file.name}: {named - known}"


def test_no_output_has_the_name_of_what_a_person_or_azd_sets() -> None:
    """`azd down` deletes outputs from azd's environment, and would delete the person's own configuration with them."""
    inputs = {variable for variable, _ in variables().values()}
    assert not set(main().of("output")) & (inputs | OF_AZD | {"ENTRA_AUTHORITY", "GRAPH_BASE_URL"})


def test_outputs_have_names_of_variables() -> None:
    for name in main().of("output"):
        assert re.fullmatch(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+", name)


def test_no_output_holds_a_secret() -> None:
    for template in templates():
        secure = {name for name, found in template.of("param").items() if "@secure" in found.decorators}
        hidden = secure | {
            name for name in template.of("var") if identifiers(template.value("var", name) or "") & secure
        }
        for name, output in template.of("output").items():
            assert not identifiers(output.text) & hidden, name
            assert not re.search(r"list(Keys|Secrets|AccountSas)|\.getSecret\(|secretText", output.text), name


def test_telemetry_address_is_not_among_what_azd_keeps() -> None:
    assert not any("connectionString" in output.text for output in main().of("output").values())


def test_no_parameter_takes_a_secret() -> None:
    words = re.compile(r"secret|password|key(?!vault)|token|credential", re.IGNORECASE)
    assert not [variable for variable, _ in variables().values() if words.search(variable)]
    assert not [found for found in main().of("param").values() if "@secure" in found.decorators]
