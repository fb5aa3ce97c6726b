"""The registration: whether it says what the server expects of it."""

from __future__ import annotations

import json
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from ops.consent import gap_of, permissions, principal_of
from ops.doctor.server import compare_clock
from ops.documents import entries, part, words
from ops.environment import API_PERMISSIONS, EXISTING_CLIENT_ID
from ops.errors import ApiError

if TYPE_CHECKING:
    from ops.command import Context
    from ops.doctor.facts import Facts
    from ops.graph import Application

AUDIENCES = {
    "organizations": {"AzureADMultipleOrgs", "AzureADandPersonalMicrosoftAccount"},
    "consumers": {"PersonalMicrosoftAccount", "AzureADandPersonalMicrosoftAccount"},
}
"""What `signInAudience` has to be for the tenants that are not one tenant."""

OWN_CREDENTIAL = "managed-identity"
"""What infra/modules/entra-application.bicep calls the federated credential."""

CREDENTIAL = ("issuer", "subject", "audiences")
FEDERATED = ("issuer (AADSTS700211)", "subject (AADSTS700213)", "audience (AADSTS700212)")


def examine(context: Context, facts: Facts) -> None:
    """Everything about the registration; `facts` gets it for those who come after."""
    application = context.services.directory.find_application(client_id=facts.client_id)
    if application is None:
        _missing(context, facts)
        return
    facts.application = application
    context.report.ok("registration", f"{application.name} ({application.client_id})")
    _clock(context)
    _token_version(context, application)
    _identifier(context, facts, application)
    _scopes(context, facts, application)
    if facts.auth_mode != "verify":
        _redirect_uris(context, facts, application)
    _audience(context, facts, application)
    _groups(context, application)
    _permissions(context, facts, application)
    _principal(context, facts, application)
    if facts.auth_mode == "federated":
        _federated_credential(context, facts, application)


def _missing(context: Context, facts: Facts) -> None:
    for deleted in context.services.directory.deleted_applications(client_id=facts.client_id):
        remedy = context.services.directory.recovery_of(deleted)
        context.report.finding("registration", f"{deleted.name} was deleted", remedy=remedy)
        return
    context.report.finding(
        "registration",
        "ENTRA_CLIENT_ID is not a registration of this tenant (AADSTS700016)",
        remedy=f"azd env set {EXISTING_CLIENT_ID.name} <client id>\nazd provision --no-state"
        if facts.site and context.environment.has(EXISTING_CLIENT_ID)
        else _or_provision(context, facts, "correct ENTRA_CLIENT_ID or ENTRA_TENANT_ID"),
    )


def _clock(context: Context) -> None:
    """Graph's clock is Azure's; a machine that differs would judge expiry wrongly."""
    asked = context.now()
    answer = context.services.graph.request("GET", "/v1.0/organization", parameters={"$select": "id"}, accept=_ANY)
    if answer.date is not None:
        compare_clock(context, "Azure's", answer.date - asked, slack=timedelta(seconds=2))


_ANY = frozenset({HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.BAD_REQUEST})


def _token_version(context: Context, application: Application) -> None:
    version = part(application.document, "api").get("requestedAccessTokenVersion")
    if version == 2:
        context.report.ok("token version", "2")
    else:
        context.report.finding(
            "token version",
            f"requestedAccessTokenVersion is {version or 1}: tokens have the issuer of version 1, which is refused",
            remedy=patch(context, application, {"api": {"requestedAccessTokenVersion": 2}}),
        )


def _identifier(context: Context, facts: Facts, application: Application) -> None:
    uris = words(application.document, "identifierUris")
    if facts.identifier_uri in uris:
        context.report.ok("identifier URI", facts.identifier_uri)
    else:
        there = ", ".join(uris) or "none"
        context.report.finding(
            "identifier URI",
            f"the registration does not have {facts.identifier_uri} (AADSTS500011); it has: {there}",
            remedy=patch(context, application, {"identifierUris": [*uris, facts.identifier_uri]})
            + "\nor set ENTRA_IDENTIFIER_URI to what it has",
        )


def _scopes(context: Context, facts: Facts, application: Application) -> None:
    listed = entries(application.document, "api", "oauth2PermissionScopes")
    offered = {str(scope.get("value")): scope for scope in listed}
    before = context.report.findings
    for name in facts.own_scopes:
        if name not in offered:
            setting = f"ENTRA_{'REQUIRED' if name in facts.required_scopes else 'OPTIONAL'}_SCOPES"
            context.report.finding(
                "scopes",
                f"the registration has no scope {name} (AADSTS650053); it has: {', '.join(sorted(offered)) or 'none'}",
                remedy=_or_provision(
                    context,
                    facts,
                    f"in the Entra admin center: {application.name}, Expose an API, Add a scope {name}\n"
                    f"or take it out of {setting}",
                ),
            )
        elif not offered[name].get("isEnabled"):
            scopes = [{**scope, "isEnabled": True} if value == name else scope for value, scope in offered.items()]
            context.report.finding(
                "scopes",
                f"the scope {name} is disabled",
                remedy=patch(context, application, {"api": {"oauth2PermissionScopes": scopes}}),
            )
    if context.report.findings == before:
        roles = [str(role.get("value")) for role in entries(application.document, "appRoles") if role.get("isEnabled")]
        context.report.ok("scopes", f"{' '.join(facts.own_scopes)}; app roles: {', '.join(roles) or 'none'}")


def _redirect_uris(context: Context, facts: Facts, application: Application) -> None:
    wanted = facts.callback_url
    web = words(application.document, "web", "redirectUris")
    platforms = ("spa", "publicClient")
    elsewhere = [kind for kind in platforms if wanted in words(application.document, kind, "redirectUris")]
    change: dict[str, Any] = {"web": {"redirectUris": [*web, *([] if wanted in web else [wanted])]}}
    for kind in elsewhere:
        rest = [uri for uri in words(application.document, kind, "redirectUris") if uri != wanted]
        change[kind] = {"redirectUris": rest}
    if elsewhere:
        code = "AADSTS9002326" if "spa" in elsewhere else "AADSTS7000218"
        context.report.finding(
            "redirect URI",
            f"{wanted} is registered for the platform {', '.join(elsewhere)} ({code}), and belongs to Web",
            remedy=patch(context, application, change),
        )
    elif wanted not in web:
        context.report.finding(
            "redirect URI",
            f"{wanted} is not registered (AADSTS50011); there are: {', '.join(web) or 'none'}",
            remedy=patch(context, application, change),
        )
    else:
        context.report.ok("redirect URI", wanted)


def _audience(context: Context, facts: Facts, application: Application) -> None:
    tenant, audience = facts.settings.get("ENTRA_TENANT_ID", ""), str(application.document.get("signInAudience"))
    wanted = AUDIENCES.get(tenant)
    if wanted is None or audience in wanted:
        context.report.ok("accounts", audience)
    else:
        context.report.finding(
            "accounts",
            f"ENTRA_TENANT_ID is {tenant}, and the registration admits {audience} alone (AADSTS50194)",
            remedy=patch(context, application, {"signInAudience": min(wanted, key=len)})
            + "\nor set ENTRA_TENANT_ID to the tenant's id",
        )


def _groups(context: Context, application: Application) -> None:
    claim = application.document.get("groupMembershipClaims")
    if claim not in (None, "None"):
        context.report.finding(
            "groups claim",
            f"tokens carry groups ({claim}), and every stored token set is larger for it; nothing here uses them",
            remedy=patch(context, application, {"groupMembershipClaims": None}),
        )


def _permissions(context: Context, facts: Facts, application: Application) -> None:
    asked = permissions(facts.additional_scopes)
    if facts.auth_mode != "verify" and asked and not entries(application.document, "requiredResourceAccess"):
        context.report.finding(
            "API permissions",
            f"the registration lists none, and people are asked for {' '.join(asked)} (AADSTS650056)",
            remedy=_or_provision(
                context,
                facts,
                f"in the Entra admin center: {application.name}, API permissions, Microsoft Graph, delegated: "
                + " ".join(asked),
            ),
        )


def _principal(context: Context, facts: Facts, application: Application) -> None:
    """The enterprise application: what the tenant thinks of the registration."""
    found = principal_of(context.services.graph, application.client_id)
    if found is None:
        context.report.finding(
            "enterprise application",
            "there is none in this tenant (AADSTS7000229)",
            remedy=f"az ad sp create --id {application.client_id}",
        )
    elif not found.get("accountEnabled", True):
        context.report.finding(
            "enterprise application",
            "is disabled (AADSTS7000112)",
            remedy=f"az ad sp update --id {application.client_id} --set accountEnabled=true",
        )
    elif found.get("appRoleAssignmentRequired"):
        context.report.ok("enterprise application", "enabled, for people who are assigned to it (AADSTS50105)")
        if facts.auth_mode != "verify":
            _consent(context, facts, str(found["id"]))
    else:
        context.report.ok("enterprise application", "enabled, for everybody of the tenant")


def _consent(context: Context, facts: Facts, principal_id: str) -> None:
    """Where people are assigned, nobody may consent for themselves."""
    try:
        gap = gap_of(
            context.services.graph,
            principal_id=principal_id,
            own=facts.own_scopes,
            additional=facts.additional_scopes,
            api_permissions=context.environment.words(API_PERMISSIONS) if facts.site else (),
        )
    except ApiError as error:
        context.report.note("consent", f"could not be looked at. {error}")
        return
    if gap.scopes:
        context.report.finding(
            "consent",
            f"no administrator consented to {' '.join(gap.scopes)}; where people are assigned, "
            "they cannot do so for themselves (AADSTS90094)",
            remedy=gap.remedy,
        )
    else:
        context.report.ok("consent", "an administrator consented for everybody")


def _federated_credential(context: Context, facts: Facts, application: Application) -> None:
    """What the managed identity's token is compared with: issuer, subject, audience."""
    identity = facts.identity
    if identity is None:
        return  # the examination of the roles says so
    path = f"/v1.0/applications/{application.object_id}/federatedIdentityCredentials"
    cloud, tenant = context.services.cloud, context.services.registration_tenant
    wanted = (f"https://{cloud.authority}/{tenant}/v2.0", str(identity.get("principalId")), cloud.exchange_audience)
    problems: list[str] = []
    # Graph takes neither a second credential of one name nor a second one of one issuer and subject.
    taken: dict[str, str] = {}
    foreign = False
    for found in context.services.graph.pages(path):
        held = (str(found.get("issuer")), str(found.get("subject")), (words(found, "audiences") or [""])[0])
        if held == wanted:
            context.report.ok("federated credential", "trusts the app's managed identity")
            return
        differing = [name for name, a, b in zip(FEDERATED, held, wanted, strict=True) if a != b]
        problems.append(f"one differs in {', '.join(differing)}")
        if held[:2] == wanted[:2]:
            taken["subject"] = str(found.get("id"))
            foreign = found.get("name") != OWN_CREDENTIAL
        elif found.get("name") == OWN_CREDENTIAL:
            taken["name"] = str(found.get("id"))
    right = dict(zip(CREDENTIAL, (*wanted[:2], [wanted[2]]), strict=True))
    if taken:
        change = f"update --federated-credential-id {taken.get('subject') or taken['name']}"
    else:
        change, right = "create", {"name": OWN_CREDENTIAL, **right}
    command = f"az ad app federated-credential {change} --id {application.client_id} --parameters "
    way = f"run: {command}{json.dumps(json.dumps(right))}"
    context.report.finding(
        "federated credential",
        f"none trusts the app's managed identity ({'; '.join(problems) or 'there is none'})",
        remedy=way if foreign else _or_provision(context, facts, way),
    )


def _or_provision(context: Context, facts: Facts, other: str) -> str:
    """The templates put right a registration that they created; one of somebody else's, or a local one, they do not."""
    if not facts.site or context.environment.has(EXISTING_CLIENT_ID):
        return other
    return f"azd provision --no-state\nor {other}"


def patch(context: Context, application: Application, change: dict[str, Any]) -> str:
    """The command that changes the registration so."""
    url = f"{context.services.cloud.graph}/v1.0/applications/{application.object_id}"
    return f"az rest --method PATCH --url {url} --body '{json.dumps(change)}'"
