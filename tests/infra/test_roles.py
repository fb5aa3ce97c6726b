"""Roles: the built-in ones that are meant, each on the one thing that it is needed for."""

from __future__ import annotations

import re

import pytest

from tests.infra.template import Declaration, Template, properties, templates

BUILT_IN = {
    "b7e6dc6d-f1e8-4753-8033-0f276bb0955b": "Storage Blob Data Owner",
    "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3": "Storage Table Data Contributor",
    "974c5e8b-45b9-4653-ba55-5f855dd0fb88": "Storage Queue Data Contributor",
    "4633458b-17de-408a-b874-0445c86b69e6": "Key Vault Secrets User",
    "3913510d-42f4-4e42-8a64-420c390055eb": "Monitoring Metrics Publisher",
}
"""https://learn.microsoft.com/azure/role-based-access-control/built-in-roles"""

NARROWEST = {
    "Storage Blob Data Owner": {"Microsoft.Storage/storageAccounts"},
    "Storage Table Data Contributor": {"Microsoft.Storage/storageAccounts/tableServices/tables"},
    "Storage Queue Data Contributor": {"Microsoft.Storage/storageAccounts/queueServices/queues"},
    "Key Vault Secrets User": {"Microsoft.KeyVault/vaults/secrets"},
    "Monitoring Metrics Publisher": {"Microsoft.Insights/components"},
}
"""On what each may be given: the smallest resource that the holder needs it for."""


def assignments() -> list[tuple[Template, Declaration]]:
    return [
        (template, resource)
        for template in templates()
        for resource in template.of("resource").values()
        if "Microsoft.Authorization/roleAssignments@" in resource.head
    ]


def role_of(template: Template, resource: Declaration) -> str:
    variable = re.search(r"roleDefinitions', (\w+)\)", resource.text)
    assert variable is not None
    return (template.value("var", variable[1]) or "").strip("'")


def type_of(template: Template, symbol: str) -> str:
    """The full type of a resource, which may be nested: account::tables::table."""
    first, *rest = symbol.split("::")
    declared = template.of("resource")[first]
    found = re.match(r" '([^@']+)", declared.head)
    assert found is not None
    whole = found[1]
    for name in rest:
        child = re.search(rf"\bresource {name} '([^']+)'", declared.text)
        assert child is not None
        whole = f"{whole}/{child[1]}"
    return whole


def test_identity_has_every_role_it_needs() -> None:
    given = sorted(BUILT_IN[role_of(*assignment)] for assignment in assignments())
    assert given == sorted([*BUILT_IN.values(), "Key Vault Secrets User", "Storage Queue Data Contributor"])


@pytest.mark.parametrize("assignment", assignments(), ids=lambda found: found[1].name)
def test_role_is_the_one_that_the_comment_names(assignment: tuple[Template, Declaration]) -> None:
    template, resource = assignment
    identifier = role_of(template, resource)
    comment = template.source.split(identifier)[0].splitlines()[-2]
    assert comment.startswith(f"// {BUILT_IN[identifier]}")


@pytest.mark.parametrize("assignment", assignments(), ids=lambda found: found[1].name)
def test_role_is_given_on_the_narrowest_resource(assignment: tuple[Template, Declaration]) -> None:
    template, resource = assignment
    scope = properties(resource.text[resource.text.index("{\n") :].strip())["scope"]
    assert type_of(template, scope) in NARROWEST[BUILT_IN[role_of(template, resource)]]


@pytest.mark.parametrize("assignment", assignments(), ids=lambda found: found[1].name)
def test_assignment_keeps_its_name_and_says_what_the_principal_is(assignment: tuple[Template, Declaration]) -> None:
    """Without the type, an assignment right after the identity was made fails: it is not known everywhere yet."""
    resource = assignment[1]
    body = properties(resource.text[resource.text.index("{\n") :].strip())
    variable = re.search(r"roleDefinitions', (\w+)\)", resource.text)
    assert variable is not None
    of = {"clientSecretSecret": "vault.id, 'entra-client-secret'"}.get(body["scope"], f"{body['scope']}.id")
    assert body["name"] == f"guid({of}, principalId, {variable[1]})"
    assert "principalType: 'ServicePrincipal'" in body["properties"]
