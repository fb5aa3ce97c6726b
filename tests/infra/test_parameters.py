"""Parameters: the template, the file that azd fills in, the pipeline and the documentation name the same ones."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml

from local.config import REPOSITORY
from tests.infra.template import INFRA, main

AZD = {"AZURE_ENV_NAME", "AZURE_LOCATION", "AZURE_RESOURCE_GROUP"}

OF_HOOKS = {"CLIENT_SECRET_DAYS", "PREFLIGHT"}
"""What a person may set for a hook, though no template takes it."""


def parameter_file() -> dict[str, str]:
    content: dict[str, Any] = json.loads((INFRA / "main.parameters.json").read_text("utf-8"))
    return {name: given["value"] for name, given in content["parameters"].items()}


def variables() -> dict[str, tuple[str, str | None]]:
    """For each parameter the variable it comes from, and the default."""
    found: dict[str, tuple[str, str | None]] = {}
    for name, value in parameter_file().items():
        match = re.fullmatch(r"\$\{([A-Z][A-Z0-9_]*)(?:=([^{}]*))?\}", value)
        assert match is not None, name
        found[name] = (match[1], match[2])
    return found


def test_template_and_file_have_the_same_parameters() -> None:
    assert set(parameter_file()) == set(main().of("param"))


def test_every_parameter_has_a_default_which_is_that_of_the_template() -> None:
    template = main()
    for name, (_, default) in variables().items():
        declared = template.value("param", name)
        if name in {"environmentName", "location"}:
            assert (declared, default) == (None, None)
        else:
            assert declared is not None
            assert declared.strip("'") == default, name


def test_every_parameter_comes_from_a_variable_of_its_own() -> None:
    names = [variable for variable, _ in variables().values()]
    assert len(names) == len(set(names))


def test_every_allowed_and_bounded_parameter_admits_its_default() -> None:
    for name, declared in main().of("param").items():
        default = (main().value("param", name) or "''").strip("'")
        if allowed := re.search(r"@allowed\(\[(.*?)\]\)", declared.decorators, re.DOTALL):
            assert default in re.findall(r"[\w]+|(?<=')(?=')", allowed[1]), name
        for bound, holds in (("minValue", int.__ge__), ("maxValue", int.__le__)):
            if limit := re.search(rf"@{bound}\((-?\d+)\)", declared.decorators):
                assert holds(int(default), int(limit[1])), name


def test_every_refusal_names_the_variable_to_change() -> None:
    refusals = re.findall(r"fail\('([^']+)'\)", "".join(main().source.splitlines()))
    assert len(refusals) == main().source.count("fail(")
    names = {variable for variable, _ in variables().values()}
    for refusal in refusals:
        assert names & set(re.findall(r"[A-Z]+(?:_[A-Z]+)+", refusal)), refusal


def test_pipeline_hands_on_every_parameter() -> None:
    wanted = ({variable for variable, _ in variables().values()} - AZD) | OF_HOOKS
    azure = yaml.safe_load((REPOSITORY / "azure.yaml").read_text("utf-8"))
    assert set(azure["pipeline"]["variables"]) == wanted
    workflow = yaml.safe_load((REPOSITORY / ".github" / "workflows" / "azure-dev.yml").read_text("utf-8"))
    given = {name: value for name, value in workflow["jobs"]["deploy"]["env"].items() if name in wanted}
    assert given == {name: f"${{{{ vars.{name} }}}}" for name in wanted}


@pytest.mark.parametrize("parameter", sorted(variables()))
def test_parameter_is_documented_with_its_default(parameter: str) -> None:
    variable, default = variables()[parameter]
    documented = (REPOSITORY / "docs" / "deploy.md").read_text("utf-8")
    row = re.search(rf"^\| `{variable}` \|([^|]*)\|", documented, re.MULTILINE)
    assert row is not None
    if default:
        assert f"`{default}`" in row[1] or (default == "-1" and "preset" in row[1])


def test_documented_pairs_have_the_form_that_the_template_takes() -> None:
    files = [REPOSITORY / "README.md", *(REPOSITORY / "docs").rglob("*.md")]
    text = "\n".join(file.read_text("utf-8") for file in files)
    given = re.findall(r"azd env set (?:EXTRA_APP_SETTINGS|RESOURCE_TAGS) ([\"'])(.*?)\1", text)
    assert len(given) == len(re.findall(r"azd env set (?:EXTRA_APP_SETTINGS|RESOURCE_TAGS)", text))
    assert [value for _, value in given if not re.fullmatch(r"(?:[A-Z_]+|<name>)=[^;{}]+", value)] == []


@pytest.mark.parametrize("preset", ["dev", "prod"])
def test_preset_has_every_size(preset: str) -> None:
    presets = main().value("var", "presets") or ""
    block = re.search(rf"^  {preset}: \{{(.*?)^  \}}", presets, re.DOTALL | re.MULTILINE)
    assert block is not None
    names = set(re.findall(r"^    (\w+):", block[1], re.MULTILINE))
    assert names == set(re.findall(r"\bsizes\.(\w+)", main().source))
