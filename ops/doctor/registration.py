"""The registration: whether it says what the server expects of it."""

from __future__ import annotations

import json
import shlex
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from ops.attempt import FoundError, attempt, expect
from ops.consent import gap_of, permissions, principal_of
from ops.doctor.server import compare_clock
from ops.documents import entries, part, words
from ops.environment import API_PERMISSIONS, EXISTING_CLIENT_ID

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

FEDERATED = ("issuer (AADSTS700211)", "subject (AADSTS700213)", "audience (AADSTS700212)")


def examine(context: Context, facts: Facts) -> None:
    """Everything about the registration; `facts` gets it for those who come after.

    Raises:
        FoundError: there is none.
    """
    report = context.report
    application = context.services.directory.find_application(client_id=facts.client_id)
    if application is None:
        raise _missing(context, facts)
    facts.application = application
    report.ok("registration", f"{application.name} ({application.client_id})")
    attempt(report, "clock", lambda: _clock(context))
    attempt(report, "token version", lambda: _token_version(context, application))
    attempt(report, "identifier URI", lambda: _identifier(context, facts, application))
    attempt(report, "scopes", lambda: _scopes(context, facts, application))
    if facts.auth_mode != "verify":
        attempt(report, "redirect URI", lambda: _redirect_uris(context, facts, application))
        attempt(report, "API permissions", lambda: _permissions(context, facts, application))
    attempt(report, "accounts", lambda: _audience(context, facts, application))
    attempt(report, "groups claim", lambda: _groups(context, application))
    principal: dict[str, Any] = {}
    enabled = attempt(report, "enterprise application", lambda: _principal(context, application, found=principal))
    if enabled and principal.get("appRoleAssignmentRequired") and facts.auth_mode != "verify":
        attempt(report, "consent", lambda: _consent(context, facts, str(principal["id"])))
    if facts.auth_mode == "federated":
        attempt(report, "federated credential", lambda: _federated_credential(context, facts, application))


def _missing(context: Context, facts: Facts) -> FoundError:
    directory = context.services.directory
    for deleted in directory.deleted_applications(client_id=facts.client_id):
        return FoundError(f"{deleted.name} was deleted", remedy=directory.recovery_of(deleted))
    return FoundError(
        "ENTRA_CLIENT_ID is not a registration of this tenant (AADSTS700016)",
        remedy=f"azd env set {EXISTING_CLIENT_ID.name} <client id>\nazd provision --no-state"
        if facts.site and context.environment.has(EXISTING_CLIENT_ID)
        else _or_provision(context, facts, "correct ENTRA_CLIENT_ID or ENTRA_TENANT_ID"),
    )


def _clock(context: Context) -> str | None:
    """Graph's clock is Azure's; a machine that differs would judge expiry wrongly."""
    asked = context.now()
    answer = context.services.graph.request("GET", "/v1.0/organization", parameters={"$select": "id"}, accept=_ANY)
    return compare_clock("Azure's", answer.date, asked, slack=timedelta(seconds=2))


_ANY = frozenset({HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.BAD_REQUEST})


def _token_version(context: Context, application: Application) -> str:
    version = part(application.document, "api").get("requestedAccessTokenVersion")
    expect(
        version == 2,
        f"requestedAccessTokenVersion is {version or 1}: tokens have the issuer of version 1, which is refused",
        remedy=_patch(context, application, {"api": {"requestedAccessTokenVersion": 2}}),
    )
    return "2"


def _identifier(context: Context, facts: Facts, application: Application) -> str:
    wanted = facts.settings.get("ENTRA_IDENTIFIER_URI") or f"api://{facts.client_id}"
    uris = words(application.document, "identifierUris")
    expect(
        wanted in uris,
        f"the registration does not have {wanted} (AADSTS500011); it has: {', '.join(uris) or 'none'}",
        remedy=_patch(context, application, {"identifierUris": [*uris, wanted]})
        + "\nor set ENTRA_IDENTIFIER_URI to what it has",
    )
    return wanted


def _scopes(context: Context, facts: Facts, application: Application) -> str | None:
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
                remedy=_patch(context, application, {"api": {"oauth2PermissionScopes": scopes}}),
            )
    if context.report.findings > before:
        return None
    roles = [str(role.get("value")) for role in entries(application.document, "appRoles") if role.get("isEnabled")]
    return f"{' '.join(facts.own_scopes)}; app roles: {', '.join(roles) or 'none'}"


def _redirect_uris(context: Context, facts: Facts, application: Application) -> str:
    wanted = f"{facts.base_url}/auth/callback"
    registered = {kind: words(application.document, kind, "redirectUris") for kind in ("web", "spa", "publicClient")}
    web = registered.pop("web")
    elsewhere = {kind: uris for kind, uris in registered.items() if wanted in uris}
    change: dict[str, Any] = {"web": {"redirectUris": list(dict.fromkeys([*web, wanted]))}}
    for kind, uris in elsewhere.items():
        change[kind] = {"redirectUris": [uri for uri in uris if uri != wanted]}
    remedy = _patch(context, application, change)
    code = "AADSTS9002326" if "spa" in elsewhere else "AADSTS7000218"
    expect(
        not elsewhere,
        f"{wanted} is registered for the platform {', '.join(elsewhere)} ({code}), and belongs to Web",
        remedy=remedy,
    )
    expect(
        wanted in web,
        f"{wanted} is not registered (AADSTS50011); there are: {', '.join(web) or 'none'}",
        remedy=remedy,
    )
    return wanted


def _audience(context: Context, facts: Facts, application: Application) -> str:
    tenant, audience = facts.settings.get("ENTRA_TENANT_ID", ""), str(application.document.get("signInAudience"))
    wanted = AUDIENCES.get(tenant, {audience})
    expect(
        audience in wanted,
        f"ENTRA_TENANT_ID is {tenant}, and the registration admits {audience} alone (AADSTS50194)",
        remedy=_patch(context, application, {"signInAudience": min(wanted, key=len)})
        + "\nor set ENTRA_TENANT_ID to the tenant's id",
    )
    return audience


def _groups(context: Context, application: Application) -> None:
    claim = application.document.get("groupMembershipClaims")
    expect(
        claim in (None, "None"),
        f"tokens carry groups ({claim}), and every stored token set is larger for it; nothing here uses them",
        remedy=_patch(context, application, {"groupMembershipClaims": None}),
    )


def _permissions(context: Context, facts: Facts, application: Application) -> None:
    asked = " ".join(permissions(facts.additional_scopes))
    expect(
        not asked or entries(application.document, "requiredResourceAccess"),
        f"the registration lists none, and people are asked for {asked} (AADSTS650056)",
        remedy=_or_provision(
            context,
            facts,
            f"in the Entra admin center: {application.name}, API permissions, Microsoft Graph, delegated: {asked}",
        ),
    )


def _principal(context: Context, application: Application, *, found: dict[str, Any]) -> str:
    """What the tenant thinks of the registration: the enterprise application, which is put into `found`."""
    found.update(principal_of(context.services.graph, application.client_id) or {})
    expect(
        found,
        "there is none in this tenant (AADSTS7000229)",
        remedy=f"az ad sp create --id {application.client_id}",
    )
    expect(
        found.get("accountEnabled", True),
        "is disabled (AADSTS7000112)",
        remedy=f"az ad sp update --id {application.client_id} --set accountEnabled=true",
    )
    if found.get("appRoleAssignmentRequired"):
        return "enabled, for people who are assigned to it (AADSTS50105)"
    return "enabled, for everybody of the tenant"


def _consent(context: Context, facts: Facts, principal_id: str) -> str:
    """Where people are assigned, nobody may consent for themselves."""
    gap = gap_of(
        context.services.graph,
        principal_id=principal_id,
        own=facts.own_scopes,
        additional=facts.additional_scopes,
        api_permissions=context.environment.words(API_PERMISSIONS) if facts.site else (),
    )
    expect(
        not gap.scopes,
        f"no administrator consented to {' '.join(gap.scopes)}; where people are assigned, "
        "they cannot do so for themselves (AADSTS90094)",
        remedy=gap.remedy,
    )
    return "an administrator consented for everybody"


def _federated_credential(context: Context, facts: Facts, application: Application) -> str | None:
    """What the managed identity's token is compared with: issuer, subject, audience."""
    identity = facts.identity
    if identity is None:
        return None  # the examination of the roles says so
    cloud, tenant = context.services.cloud, context.services.registration_tenant
    wanted = (f"https://{cloud.authority}/{tenant}/v2.0", str(identity.get("principalId")), cloud.exchange_audience)
    problems: list[str] = []
    # Graph takes neither a second credential of one issuer and subject nor a second one of one name.
    in_the_way: dict[str, Any] = {}
    path = f"/v1.0/applications/{application.object_id}/federatedIdentityCredentials"
    for found in context.services.graph.pages(path):
        held = (str(found.get("issuer")), str(found.get("subject")), (words(found, "audiences") or [""])[0])
        if held == wanted:
            return "trusts the app's managed identity"
        differing = [name for name, a, b in zip(FEDERATED, held, wanted, strict=True) if a != b]
        problems.append(f"one differs in {', '.join(differing)}")
        if held[:2] == wanted[:2] or (found.get("name") == OWN_CREDENTIAL and not in_the_way):
            in_the_way = found
    right = {"issuer": wanted[0], "subject": wanted[1], "audiences": [wanted[2]]}
    if in_the_way:
        change = f"update --federated-credential-id {shlex.quote(str(in_the_way['id']))}"
    else:
        change, right = "create", {"name": OWN_CREDENTIAL, **right}
    command = f"az ad app federated-credential {change} --id {application.client_id} --parameters "
    way = f"run: {command}{shlex.quote(json.dumps(right))}"
    foreign = in_the_way.get("name", OWN_CREDENTIAL) != OWN_CREDENTIAL
    raise FoundError(
        f"none trusts the app's managed identity ({'; '.join(problems) or 'there is none'})",
        remedy=way if foreign else _or_provision(context, facts, way),
    )


def _or_provision(context: Context, facts: Facts, other: str) -> str:
    """The templates put right a registration that they created; one of somebody else's, or a local one, they do not."""
    if not facts.site or context.environment.has(EXISTING_CLIENT_ID):
        return other
    return f"azd provision --no-state\nor {other}"


def _patch(context: Context, application: Application, change: dict[str, Any]) -> str:
    """The command that changes the registration so."""
    url = f"{context.services.cloud.graph}/v1.0/applications/{application.object_id}"
    return f"az rest --method PATCH --url {url} --body {shlex.quote(json.dumps(change))}"
