"""The Bicep files: what can be known without the compiler."""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.infra.template import FUNCTIONS, INFRA, Template, balanced, identifiers, templates

if TYPE_CHECKING:
    from pathlib import Path

FILES = [template.path.relative_to(INFRA).as_posix() for template in templates()]


def names_of_a_loop(source: str) -> set[str]:
    loops = re.findall(r"\bfor (?:\((\w+), (\w+)\)|(\w+)) in\b", source)
    lambdas = re.findall(r"\b(\w+) =>", source)
    return {name for loop in loops for name in loop if name} | set(lambdas)


def problems(template: Template) -> list[str]:
    """What would not compile, as far as that is known without the compiler."""
    if not balanced(template.source):
        return ["a bracket is not closed"]
    found: list[str] = []
    declared = {declaration.name for declaration in template.declarations}
    nested = set(re.findall(r"^ +resource (\w+) ", template.source, re.MULTILINE))
    extensions = set(re.findall(r"^extension (\w+)$", template.source, re.MULTILINE))
    bodies = "\n".join(f"{declaration.decorators}\n{declaration.text}" for declaration in template.declarations)
    decorators = set(re.findall(r"^@(\w+)\(", template.source, re.MULTILINE))
    known = declared | nested | extensions | names_of_a_loop(template.source) | FUNCTIONS | decorators
    found += [f"{name} is not declared" for name in sorted(identifiers(bodies) - known)]
    used = identifiers(bodies)
    for kind in ("param", "var"):
        found += [f"{kind} {name} is not used" for name in template.of(kind) if name not in used]
    for module in template.of("module"):
        file = template.module_file(module)
        if not file.is_file():
            found.append(f"module {module}: there is no {file}")
            continue
        wanted = Template(file).of("param")
        given = template.params_given(module)
        needed = {name for name in wanted if Template(file).value("param", name) is None}
        found += [f"module {module} does not get {name}" for name in sorted(needed - given)]
        found += [f"module {module} has no parameter {name}" for name in sorted(given - set(wanted))]
        outputs = Template(file).of("output")
        asked = re.findall(rf"\b{module}\.\??outputs\.(\w+)", template.source)
        found += [f"module {module} has no output {name}" for name in sorted(set(asked) - set(outputs))]
    return found


@pytest.mark.parametrize("file", FILES)
def test_template_has_no_fault_that_shows_without_a_compiler(file: str) -> None:
    assert problems(Template(INFRA / file)) == []


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ("name: names.vault", "name: nmaes.vault", "nmaes is not declared"),
        ("    vaultUrl: vault.outputs.url\n", "", "module appSettings does not get vaultUrl"),
        ("vault.outputs.url", "vault.outputs.uri", "module vault has no output uri"),
        ("    identityId: identity", "    identity: identity", "module functionApp has no parameter identity"),
        ("    name: names.vault\n", "    name: names.vault\n    tags: [\n", "a bracket is not closed"),
    ],
)
def test_faults_are_found_when_there_are_any(tmp_path: Path, before: str, after: str, problem: str) -> None:
    shutil.copytree(INFRA, tmp_path / "infra")
    main = tmp_path / "infra" / "main.bicep"
    source = main.read_text("utf-8")
    assert before in source
    main.write_text(source.replace(before, after, 1), "utf-8")
    assert problem in problems(Template(main))


def test_json_of_the_templates_can_be_read() -> None:
    for file in INFRA.glob("*.json"):
        assert json.loads(file.read_text("utf-8")), file.name


def test_every_module_is_used() -> None:
    used = {template.module_file(module).resolve() for template in templates() for module in template.of("module")}
    assert used == {path.resolve() for path in (INFRA / "modules").glob("*.bicep")}


def test_nothing_differs_from_one_deployment_to_the_next() -> None:
    """GUIDs derive from what stays the same; the only random values are those of a secret that is written once."""
    for template in templates():
        assert "utcNow" not in template.source
        for line in template.source.splitlines():
            assert "newGuid" not in line or re.fullmatch(r"param \w+ string = newGuid\(\)", line)
    vault = Template(INFRA / "modules" / "vault.bicep")
    random = [found for found in vault.of("param").values() if "newGuid" in found.text]
    assert len(random) == 2
    assert all("@secure()" in found.decorators for found in random)
    secrets = {name: found for name, found in vault.of("resource").items() if "vaults/secrets@" in found.head}
    assert secrets.keys() == {"signingKeySecret", "clientSecretSecret"}
    assert all("@onlyIfNotExists()" in found.decorators for found in secrets.values())
