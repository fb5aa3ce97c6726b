"""The Bicep compiler: no warning, its own form of every file, and the deployments that the snapshots show.

Only collected where `bicep` is on PATH (conftest.py).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.infra.compiler import Compiler, command, running_compiler
from tests.infra.snapshots import parameter_sets, resources
from tests.infra.template import INFRA, main

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILES = "**/*.bicep*"
"""Templates and sets of parameters."""

PUBLIC_CLOUD_ONLY = "Applications can be made in the public cloud only: set ENTRA_EXISTING_CLIENT_ID (docs/deploy.md)."
"""The one refusal that does not show here: the compiler's own cloud is the public one."""

SUBNETS = {"functionsSubnetId": "a/subnets/f", "endpointsSubnetId": "a/subnets/e"}
REFUSED = [
    ({"resourceTags": "owner:us"}, "RESOURCE_TAGS takes"),
    ({"resourceTags": "owner=us; costs"}, "RESOURCE_TAGS takes"),
    ({"resourceTags": "=us"}, "RESOURCE_TAGS takes"),
    ({"extraAppSettings": '{"MCP_LOG_LEVEL": "debug"}'}, "EXTRA_APP_SETTINGS takes"),
    ({"extraAppSettings": "URL=https://a.test/?x;y"}, "EXTRA_APP_SETTINGS takes"),
    ({"apiPermissions": "one/two"}, "ENTRA_API_PERMISSIONS takes"),
    (SUBNETS, "The subnets and DNS zones of NETWORK_*"),
    ({"privateDnsZones": "none"}, "The subnets and DNS zones of NETWORK_*"),
    ({"privateNetwork": True, "functionsSubnetId": "a/subnets/f"}, "NETWORK_FUNCTIONS_SUBNET_ID and"),
    *(
        ({"privateNetwork": True, **SUBNETS, "privateDnsZones": zones}, "NETWORK_PRIVATE_DNS_ZONES takes")
        for zones in ("None", "dns", "/subscriptions/a/resourceGroups/dns/", "/subscriptions/a/resourceGroups/")
    ),
    ({"customBaseUrl": "https://mcp.contoso.com/"}, "MCP_CUSTOM_BASE_URL has to be"),
    ({"budgetAmount": 3}, "A budget needs ALERT_EMAIL"),
    ({"budgetAmount": 3, "alertEmail": "a@contoso.com"}, "A budget needs BUDGET_START_DATE"),
]
"""Parameters, and how the message begins with which the template refuses them."""


def bicep(*arguments: str, folder: Path = INFRA) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), cwd=folder, capture_output=True, text=True, timeout=110, check=False)


@pytest.fixture(scope="module")
def compiler() -> Iterator[Compiler]:
    with running_compiler() as running:
        yield running


@pytest.mark.parametrize("arguments", [("build", "main.bicep", "--stdout"), ("lint", "--pattern", FILES)])
def test_compiler_warns_of_nothing(arguments: tuple[str, ...]) -> None:
    """Unknown properties and API versions are warnings only, hence none at all."""
    done = bicep(*arguments)
    assert (done.returncode, done.stderr.strip()) == (0, "")


def test_files_have_the_form_that_the_compiler_gives_them(tmp_path: Path) -> None:
    copy = shutil.copytree(INFRA, tmp_path / "infra")
    (copy / "other.bicep").write_text("param   one string\n", "utf-8")
    done = bicep("format", "--pattern", FILES, folder=copy)
    assert (done.returncode, done.stderr.strip()) == (0, "")
    assert (copy / "other.bicep").read_text("utf-8") == "param one string\n"
    files = [file.relative_to(INFRA) for file in INFRA.glob(FILES)]
    assert [name for name in files if (copy / name).read_bytes() != (INFRA / name).read_bytes()] == []


@pytest.mark.parametrize("parameters", parameter_sets(), ids=lambda file: file.stem)
def test_deployment_is_the_one_of_the_snapshot(parameters: Path, compiler: Compiler) -> None:
    """Asked for again: the compiler's own `--mode validate` fails at resources that have no id, as those of
    Microsoft Graph.
    """
    answer = compiler.snapshot(parameters)
    assert "error" not in answer
    kept = json.loads(parameters.with_suffix(".snapshot.json").read_text("utf-8"))
    assert json.loads(answer["result"]["snapshot"]) == kept


def written(folder: Path, **given: object) -> Path:
    """A set of parameters with these values, in a file of the folder."""
    lines = [f"using '{os.path.relpath(INFRA / 'main.bicep', folder)}'"]
    for name, value in {"environmentName": "dev", "location": "northeurope", **given}.items():
        lines.append(f"param {name} = {f"'{value}'" if isinstance(value, str) else json.dumps(value)}")
    parameters = folder / "given.bicepparam"
    parameters.write_text("\n".join(lines), "utf-8")
    return parameters


@pytest.mark.parametrize("location", ["northeurope", "NorthEurope", "North Europe"])
def test_names_are_the_same_however_the_region_is_written(location: str, compiler: Compiler, tmp_path: Path) -> None:
    answer = compiler.snapshot(written(tmp_path, location=location))
    found = json.loads(answer["result"]["snapshot"])["predictedResources"]
    assert [one.get("id") for one in found] == [one.get("id") for one in resources(INFRA / "snapshots/dev.bicepparam")]


@pytest.mark.parametrize(("given", "message"), REFUSED)
def test_parameters_that_would_do_nothing_or_harm_are_refused(
    given: dict[str, object], message: str, compiler: Compiler, tmp_path: Path
) -> None:
    assert message in compiler.snapshot(written(tmp_path, **given))["error"]["message"]


def test_every_refusal_is_seen() -> None:
    begins = tuple(message for _, message in REFUSED)
    refusals = re.findall(r"fail\('([^']+)'\)", main().source)
    assert [refusal for refusal in refusals if not refusal.startswith(begins)] == [PUBLIC_CLOUD_ONLY]
