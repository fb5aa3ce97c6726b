"""The application in Entra ID, as the templates describe it."""

from __future__ import annotations

import json
import re

import pytest

from entra_mcp.settings import Settings
from tests.infra.template import INFRA, Template, identifiers, main, properties, templates

REGISTRATION = Template(INFRA / "modules" / "entra-registration.bicep")
APPLICATION = Template(INFRA / "modules" / "entra-application.bicep")


def test_extension_is_the_released_one_and_no_experiment() -> None:
    config = json.loads((INFRA / "bicepconfig.json").read_text("utf-8"))
    assert "experimentalFeaturesEnabled" not in config
    source = config["extensions"]["microsoftGraphV1"]
    assert re.fullmatch(r"br:mcr\.microsoft\.com/bicep/extensions/microsoftgraph/v1\.0:\d+\.\d+\.\d+", source)
    users = [template for template in templates() if "'Microsoft.Graph/" in template.source]
    assert users
    assert all("\nextension microsoftGraphV1\n" in template.source for template in users)


@pytest.mark.parametrize("template", [REGISTRATION, APPLICATION], ids=lambda template: template.path.stem)
def test_both_steps_make_tokens_of_version_2(template: Template) -> None:
    assert "requestedAccessTokenVersion: 2" in template.source


def test_both_steps_name_the_same_application() -> None:
    for name in ("displayName", "signInAudience"):
        values = {
            properties(properties(found.text[found.text.index("{\n") :].strip())["params"])[name]
            for key, found in main().of("module").items()
            if key in {"registration", "application"}
        }
        assert len(values) == 1
    assert len(re.findall(r"\bnames\.application\b", main().source)) == 2


@pytest.mark.parametrize("template", [REGISTRATION, APPLICATION], ids=lambda template: template.path.stem)
def test_both_steps_name_the_owners_and_the_reference(template: Template) -> None:
    """The first step creates the application: whoever is no owner may not take the second, and a directory that wants a
    reference refuses to make one without.
    """
    body = template.of("resource")["application"].text
    assert "relationshipSemantics: 'append'\n    relationships: ownerIds\n" in body
    assert "serviceManagementReference: empty(serviceManagementReference) ? null : serviceManagementReference" in body
    module = "registration" if template is REGISTRATION else "application"
    given = main().of("module")[module].text
    assert "ownerIds: ownerWords" in given
    assert "serviceManagementReference: serviceManagementReference" in given


def test_enterprise_application_is_where_the_documents_send_people() -> None:
    assert "'WindowsAzureActiveDirectoryIntegratedApp'" in APPLICATION.of("resource")["servicePrincipal"].text


def test_custom_address_that_no_redirect_uri_could_be_made_of_is_refused() -> None:
    origin = main().value("var", "isOrigin")
    assert origin == "startsWith(customBaseUrl, 'https://') && length(split(customBaseUrl, '/')) == 3"
    assert re.search(r"isOrigin \? customBaseUrl : fail\('MCP_CUSTOM_BASE_URL ", main().value("var", "baseUrl") or "")


def test_hand_off_tells_all_that_the_templates_would_make() -> None:
    text = "".join(
        main().value("var", name) or ""
        for name in ("handOff", "callers", "permissionLines", "consentLines", "federatedLines")
    )
    used = identifiers(text)
    assert used >= {"identifierUri", "scopeWords", "roleWords", "redirectUris", "preauthorizedWords", "graphWords"}
    assert used >= {"issuer", "identity", "cloud", "signInAudience", "applicationRoleWords", "assignmentRequired"}
    assert "requestedAccessTokenVersion = 2" in text


def test_names_of_scopes_and_roles_decide_their_ids() -> None:
    assert APPLICATION.source.count("guid(uniqueName, 'scope', scope)") == 2
    assert APPLICATION.source.count("guid(uniqueName, 'role', role)") == 1


def test_redirect_uri_has_the_app_s_real_host_name() -> None:
    assert main().value("var", "generatedBaseUrl") == "'https://${functionApp.outputs.hostName}'"
    app = Template(INFRA / "modules" / "function-app.bicep")
    assert app.value("output", "hostName") == "app.properties.defaultHostName"
    assert "azurewebsites" not in "".join(template.source for template in templates())


def test_application_has_no_groups_claim_no_implicit_tokens_and_no_password() -> None:
    for word in ("groupMembershipClaims", "passwordCredentials", "optionalClaims"):
        assert word not in APPLICATION.source
    assert "enableAccessTokenIssuance: false" in APPLICATION.source
    assert "enableIdTokenIssuance: false" in APPLICATION.source


def test_consent_for_everybody_is_off_unless_asked_for() -> None:
    assert main().value("param", "adminConsent") == "false"
    condition = "if (ownApplication && adminConsent && authMode != 'verify') {"
    assert main().of("module")["consent"].head.endswith(condition), "nobody signs in at the server in that mode"


def test_federated_credential_trusts_the_managed_identity_alone() -> None:
    credential = APPLICATION.of("resource")["federatedCredential"]
    assert credential.head.endswith("if (federated) {")
    body = properties(credential.text[credential.text.index("{\n") :].strip())
    assert body["name"] == "'${application.uniqueName}/managed-identity'"
    assert "parent" not in body
    assert main().value("var", "issuer") == "'https://${cloud.authority}/${directory}/v2.0'"
    given = main().of("module")["application"].text
    assert "federated: authMode == 'federated'\n    federatedPrincipalId: identity.outputs.principalId\n" in given


def test_secretless_mode_makes_no_client_secret() -> None:
    assert "clientSecret: authMode == 'proxy'" in main().of("module")["vault"].text


def test_additional_scopes_of_the_default_are_listed_with_their_ids() -> None:
    known = json.loads((INFRA / "graph-permissions.json").read_text("utf-8"))
    assert set(Settings.model_fields["additional_scopes"].default) <= set(known)
    assert len(set(known.values())) == len(known)
    assert all(re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", found) for found in known.values())


def test_every_cloud_has_every_name() -> None:
    clouds = json.loads((INFRA / "clouds.json").read_text("utf-8"))["entra"]
    assert set(clouds) == {"AzureCloud", "AzureUSGovernment", "AzureChinaCloud"}
    used = set(re.findall(r"\bcloud\.(\w+)", main().source))
    assert all(set(names) == used for names in clouds.values())
    fields = {"authority": "authority", "graph": "graph_base_url", "tokenExchange": "assertion_audience"}
    defaults = {name: Settings.model_fields[field].default for name, field in fields.items()}
    assert defaults.items() <= clouds["AzureCloud"].items()
