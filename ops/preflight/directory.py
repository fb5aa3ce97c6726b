"""What the tenant has to allow: making a registration, consent, giving it a client secret, tokens for the hook."""

from __future__ import annotations

from datetime import datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from pydantic import TypeAdapter, ValidationError

from ops.attempt import attempt
from ops.client_secret import NO_REGISTRATION, days_of, wants_client_secret
from ops.consent import gap_of, principal_of
from ops.documents import entries, part
from ops.environment import (
    ADDITIONAL_SCOPES,
    ADMIN_CONSENT,
    API_PERMISSIONS,
    APP_UNIQUE_NAME,
    ASSIGNMENT_REQUIRED,
    AUTH_MODE,
    CLIENT_ID,
    DEFAULT_ADDITIONAL_SCOPES,
    DEFAULT_SCOPES,
    EXISTING_CLIENT_ID,
    OPTIONAL_SCOPES,
    OWNER_IDS,
    REQUIRED_SCOPES,
)
from ops.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Collection

    from ops.command import Context
    from ops.environment import Environment
    from ops.graph import Application

LOOKS_AT = "the tenant (directory role, consent, secret policy, Conditional Access, deleted registrations)"
"""For whoever cannot let it."""

ABLE_ROLES = frozenset(
    {
        "Application Administrator",
        "Application Developer",
        "Cloud Application Administrator",
        "Global Administrator",
        "Hybrid Identity Administrator",
    }
)
CONSENT_ROLES = frozenset(
    {
        "Application Administrator",
        "Cloud Application Administrator",
        "Global Administrator",
        "Privileged Role Administrator",
    }
)
CONSENT_PERMISSIONS = frozenset({"DelegatedPermissionGrant.ReadWrite.All", "Directory.ReadWrite.All"})
OWNER_PERMISSIONS = frozenset({"Directory.Read.All", "Directory.ReadWrite.All"})
ANY_APPLICATION = "Application.ReadWrite.All"
OWNED_BY = frozenset({"Application.ReadWrite.OwnedBy", ANY_APPLICATION})
DIRECTORY_ROLE = "#microsoft.graph.directoryRole"
NOT_TOLD = frozenset({HTTPStatus.FORBIDDEN, HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND})
UNKNOWN = "cannot be looked at with this account"


def is_asked(environment: Environment) -> bool:
    """Whether the deployment asks the directory anything: for a registration, or for a client secret of one."""
    return _gets_secret(environment) or not environment.has(EXISTING_CLIENT_ID)


def _gets_secret(environment: Environment) -> bool:
    return wants_client_secret(environment) and environment.get(EXISTING_CLIENT_ID) != NO_REGISTRATION


def check(context: Context) -> None:
    """Every check of the tenant."""
    report, existing = context.report, context.environment.has(EXISTING_CLIENT_ID)
    if existing:
        report.note("registration", "is somebody else's (ENTRA_EXISTING_CLIENT_ID): none is made")
    else:
        attempt(report, "directory role", lambda: _right_to_register(context))
        attempt(report, "consent", lambda: _consent(context))
    if _gets_secret(context.environment):
        attempt(report, "secret policy", lambda: _secret_policy(context))
    if existing:
        return
    attempt(report, "Conditional Access", lambda: _token_protection(context))
    attempt(report, "deleted registrations", lambda: _deleted_registrations(context))


def _right_to_register(context: Context) -> None:
    graph, report = context.services.graph, context.report
    claims = graph.tokens.claims(graph.scope)
    permissions = _permissions(context)
    if permissions is not None:
        granted = permissions & OWNED_BY
        if granted:
            report.ok("directory role", f"the pipeline's principal has {', '.join(sorted(granted))}")
            if ANY_APPLICATION not in granted:
                _ownership(context, str(claims.get("oid") or ""), permissions)
        else:
            report.finding(
                "directory role",
                "the pipeline's principal may not make a registration",
                remedy=_permission_for_pipeline("Application.ReadWrite.OwnedBy"),
            )
        return
    held = _roles(context)
    if held is not None and held & ABLE_ROLES:
        report.ok("directory role", ", ".join(sorted(held & ABLE_ROLES)))
        return
    policy = _allowed(context, "/v1.0/policies/authorizationPolicy")
    if policy is None:
        report.note("directory role", UNKNOWN)
    elif part(policy, "defaultUserRolePermissions").get("allowedToCreateApps"):
        report.ok("directory role", "users may register applications")
    elif held is None:
        report.note("directory role", f"{UNKNOWN}, and users alone may not register applications in this tenant")
    else:
        report.finding(
            "directory role",
            "users may not register applications in this tenant, and you have no role that may",
            remedy="an administrator gives you the role Application Developer, or creates the registration for you: "
            "docs/deploy.md, bring your own registration",
        )


def _ownership(context: Context, principal: str, permissions: Collection[str]) -> None:
    """A principal with OwnedBy may only change what it owns; it was not always the owner of what it created.

    To set owners, Bicep's extension reads them too: microsoftgraph/msgraph-bicep-types #134, #142, #154.
    """
    owners = context.environment.words(OWNER_IDS)
    if owners and not OWNER_PERMISSIONS.intersection(permissions):
        context.report.finding(
            "owner",
            "ENTRA_OWNER_IDS names owners, and the pipeline's principal may not read who that is",
            remedy=_permission_for_pipeline("Directory.Read.All"),
        )
    if principal not in owners:
        context.report.note(
            "owner",
            "the pipeline's principal may change the registration only as its owner. Add its object id to the\n"
            f"repository's variable ENTRA_OWNER_IDS: {principal}",
        )


def _consent(context: Context) -> None:
    """Consent for everybody, which only some may give, and without which nobody signs in where people are assigned."""
    environment = context.environment
    if environment.get(AUTH_MODE, "proxy") == "verify":
        context.report.ok("consent", "nobody signs in at the server: none is needed")
    elif environment.says(ADMIN_CONSENT):
        _right_to_consent(context)
    elif environment.says(ASSIGNMENT_REQUIRED):
        _given_consent(context)
    else:
        context.report.ok("consent", "people consent for themselves, where the tenant lets them")


def _right_to_consent(context: Context) -> None:
    report, permissions = context.report, _permissions(context)
    if permissions is not None and permissions & CONSENT_PERMISSIONS:
        report.ok("consent", f"the pipeline's principal has {', '.join(sorted(permissions & CONSENT_PERMISSIONS))}")
        return
    if permissions is not None:
        report.finding(
            "consent",
            "ENTRA_ADMIN_CONSENT is true, and the pipeline's principal may not consent for everybody",
            remedy=_permission_for_pipeline("DelegatedPermissionGrant.ReadWrite.All"),
        )
        return
    held = _roles(context)
    if held is None:
        report.note("consent", f"{UNKNOWN}: ENTRA_ADMIN_CONSENT=true needs Cloud Application Administrator")
    elif held & CONSENT_ROLES:
        report.ok("consent", f"{', '.join(sorted(held & CONSENT_ROLES))} may consent for everybody")
    else:
        report.finding(
            "consent",
            "ENTRA_ADMIN_CONSENT is true, and you have no role that may consent for everybody",
            remedy="an administrator gives you the role Cloud Application Administrator\n"
            "or deploy without, and let an administrator consent afterwards: azd env set ENTRA_ADMIN_CONSENT false",
        )


def _given_consent(context: Context) -> None:
    """Where people are assigned none may consent for themselves; an administrator may have done it by hand."""
    environment, graph = context.environment, context.services.graph
    client_id = environment.get(CLIENT_ID)
    principal = principal_of(graph, client_id) if client_id else None
    if principal is None:
        context.report.finding(
            "consent",
            "ENTRA_ASSIGNMENT_REQUIRED is true: nobody can sign in before an administrator consented for everybody",
            remedy="as Cloud Application Administrator: azd env set ENTRA_ADMIN_CONSENT true\n"
            "or, until an administrator has consented: azd env set ENTRA_ASSIGNMENT_REQUIRED false",
        )
        return
    gap = gap_of(
        graph,
        principal_id=str(principal["id"]),
        own=[*environment.words(REQUIRED_SCOPES, DEFAULT_SCOPES), *environment.words(OPTIONAL_SCOPES)],
        additional=environment.words(ADDITIONAL_SCOPES, DEFAULT_ADDITIONAL_SCOPES),
        api_permissions=environment.words(API_PERMISSIONS),
    )
    if gap.scopes:
        context.report.finding(
            "consent",
            f"ENTRA_ASSIGNMENT_REQUIRED is true, and no administrator consented to {' '.join(gap.scopes)}",
            remedy=f"as Cloud Application Administrator: azd env set ENTRA_ADMIN_CONSENT true\nor {gap.remedy}",
        )
    else:
        context.report.ok("consent", "an administrator consented for everybody")


def _permissions(context: Context) -> set[str] | None:
    """The application permissions of a pipeline's principal; None for a person."""
    graph = context.services.graph
    claims = graph.tokens.claims(graph.scope)
    return set(cast("list[str]", claims.get("roles") or [])) if claims.get("idtyp") == "app" else None


def _permission_for_pipeline(name: str) -> str:
    return (
        f"an administrator gives it the application permission {name} of Microsoft Graph: docs/deploy.md, "
        "pipeline, has the commands"
    )


def _roles(context: Context) -> set[str] | None:
    """The directory roles of the account, by groups too; None when this account may not ask.

    Uncast: Graph answers the list of one type only with its eventual consistency, which may not know a new role yet.
    """
    try:
        found = list(context.services.graph.pages("/v1.0/me/transitiveMemberOf", **{"$top": "999"}))
    except ApiError as error:
        if error.status not in NOT_TOLD:
            raise
        return None
    return {str(one.get("displayName")) for one in found if one.get("@odata.type") == DIRECTORY_ROLE}


def _secret_policy(context: Context) -> None:
    policy = _allowed(context, "/v1.0/policies/defaultAppManagementPolicy")
    if policy is None:
        context.report.note("secret policy", UNKNOWN)
        return
    application = _application(context)
    created = application.created if application is not None else None
    active = {
        str(one["restrictionType"]): one
        for one in _restrictions(context, policy, application)
        if one.get("state", "enabled") == "enabled" and _concerns(one, created)
    }
    if "passwordAddition" in active and context.environment.has(EXISTING_CLIENT_ID):
        context.report.note(
            "secret policy",
            "no client secret may be added to the registration: put one that it has into the vault,\n"
            "or do without: azd env set AUTH_MODE federated",
        )
        return
    if "passwordAddition" in active:
        context.report.finding(
            "secret policy",
            "a policy of the tenant forbids client secrets",
            remedy="azd env set AUTH_MODE federated\nor have an administrator exempt the registration",
        )
        return
    longest = _duration(part(active, "passwordLifetime").get("maxLifetime"))
    days = days_of(context.environment)
    if longest is None or longest >= timedelta(days=days):
        context.report.ok("secret policy", f"client secrets may live {days} days")
    else:
        context.report.note(
            "secret policy",
            f"client secrets live at most {longest.days} days here: made so, and renewed when a third is left.\n"
            "Run `azd hooks run postprovision` at least that often, or do without: azd env set AUTH_MODE federated",
        )


def _application(context: Context) -> Application | None:
    """The registration; None where it is still to be made."""
    client_id = context.environment.get(EXISTING_CLIENT_ID) or context.environment.get(CLIENT_ID)
    return context.services.directory.find_application(client_id=client_id) if client_id else None


def _restrictions(context: Context, default: dict[str, Any], application: Application | None) -> list[dict[str, Any]]:
    """What counts for the registration's secrets: a policy that is assigned to it goes before the tenant's.

    https://learn.microsoft.com/graph/api/resources/appmanagementpolicy
    """
    path = f"/v1.0/applications/{application.object_id}/appManagementPolicies" if application is not None else ""
    for own in entries(_allowed(context, path) or {}, "value") if path else ():
        if own.get("isEnabled") and part(own, "restrictions").get("passwordCredentials") is not None:
            return entries(own, "restrictions", "passwordCredentials")
    return entries(default, "applicationRestrictions", "passwordCredentials") if default.get("isEnabled") else []


def _concerns(restriction: dict[str, Any], created: datetime | None) -> bool:
    """Whether a restriction counts for the registration: many count for those alone that are made after a day."""
    since = restriction.get("restrictForAppsCreatedAfterDateTime")
    return not since or created is None or created > datetime.fromisoformat(str(since))


def _token_protection(context: Context) -> None:
    """Such a policy may take tokens away from azd and az, half way through a deployment (AADSTS530084)."""
    found = _allowed(context, "/v1.0/identity/conditionalAccess/policies")
    if found is None:
        context.report.note("Conditional Access", f"{UNKNOWN}; this account did get the tokens that a deployment needs")
        return
    names = [
        str(policy.get("displayName"))
        for policy in entries(found, "value")
        if policy.get("state") == "enabled" and part(policy, "sessionControls", "secureSignInSession").get("isEnabled")
    ]
    if names:
        context.report.note(
            "Conditional Access",
            f"token protection is on: {', '.join(names)}. This account got its tokens all the same;\n"
            "where one is refused (AADSTS530084), deploy from a pipeline: azd pipeline config",
        )
    else:
        context.report.ok("Conditional Access", "no policy protects tokens")


def _deleted_registrations(context: Context) -> None:
    names = {"client_id": context.environment.get(CLIENT_ID), "unique_name": context.environment.get(APP_UNIQUE_NAME)}
    if not any(names.values()):
        context.report.note("deleted registrations", "no name is known yet: this environment was never provisioned")
        return
    try:
        found = list(context.services.directory.deleted_applications(**names))
    except ApiError as error:
        if error.status != HTTPStatus.FORBIDDEN:
            raise
        context.report.note("deleted registrations", UNKNOWN)
        return
    for application in found:
        recovery = context.services.directory.recovery_of(application)
        context.report.finding(
            "deleted registration",
            f"{application.name} keeps the unique name {application.unique_name} for 30 days",
            remedy=f"python -m ops postdown --purge\nor get it back: {recovery}",
        )
    if not found:
        context.report.ok("deleted registrations", "none is in the way")


def _allowed(context: Context, path: str) -> dict[str, Any] | None:
    """What Graph answers, or None when this account may not ask."""
    answer = context.services.graph.request("GET", path, accept=NOT_TOLD)
    return answer.document if answer.status == HTTPStatus.OK else None


def _duration(limit: object) -> timedelta | None:
    """An ISO 8601 duration, as Graph writes limits; None where there is no limit."""
    try:
        return TypeAdapter(timedelta).validate_python(limit)
    except ValidationError:
        return None
