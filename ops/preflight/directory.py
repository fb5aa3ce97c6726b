"""What the tenant has to allow: making a registration, consent, giving it a client secret, tokens for the hook."""

from __future__ import annotations

from datetime import datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from pydantic import TypeAdapter, ValidationError

from ops.attempt import FoundError, Note, attempt, expect
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
    from collections.abc import Callable, Collection

    from ops.command import Context
    from ops.environment import Environment

LOOKS_AT = "the tenant (directory role, consent, secret policy, Conditional Access, deleted registrations)"
"""What a finding names that cannot be looked at without a token."""

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
        attempt(report, "owner", lambda: _owners(context))
        attempt(report, "consent", lambda: _consent(context))
    if _gets_secret(context.environment):
        attempt(report, "secret policy", lambda: _secret_policy(context))
    if not existing:
        attempt(report, "Conditional Access", lambda: _token_protection(context))
        attempt(report, "deleted registrations", lambda: _deleted_registrations(context))


def _right_to_register(context: Context) -> str:
    permissions = _permissions(context)
    if permissions is not None:
        return _permitted(
            permissions & OWNED_BY,
            otherwise="the pipeline's principal may not make a registration",
            least="Application.ReadWrite.OwnedBy",
        )
    held = _roles(context)
    if able := ABLE_ROLES & (held or set()):
        return ", ".join(sorted(able))
    policy = _unless_refused(lambda: context.services.graph.get("/v1.0/policies/authorizationPolicy"))
    if policy is None:
        return Note(UNKNOWN)
    if part(policy, "defaultUserRolePermissions").get("allowedToCreateApps"):
        return "users may register applications"
    if held is None:
        return Note(f"{UNKNOWN}, and users alone may not register applications in this tenant")
    raise FoundError(
        "users may not register applications in this tenant, and you have no role that may",
        remedy="an administrator gives you the role Application Developer, or creates the registration for you: "
        "docs/deploy.md, bring your own registration",
    )


def _owners(context: Context) -> str | None:
    """A principal with OwnedBy may only change what it owns; it was not always the owner of what it created.

    To set owners, Bicep's extension reads them too: microsoftgraph/msgraph-bicep-types #134, #142, #154.
    """
    permissions = _permissions(context) or set()
    if ANY_APPLICATION in permissions or not permissions & OWNED_BY:
        return None
    owners, principal = context.environment.words(OWNER_IDS), str(_claims(context).get("oid") or "")
    if owners and not permissions & OWNER_PERMISSIONS:
        context.report.finding(
            "owner",
            "ENTRA_OWNER_IDS names owners, and the pipeline's principal may not read who that is",
            remedy=_permission_for_pipeline("Directory.Read.All"),
        )
    if principal in owners:
        return None
    return Note(
        "the pipeline's principal may change the registration only as its owner. Add its object id to the\n"
        f"repository's variable ENTRA_OWNER_IDS: {principal}"
    )


def _consent(context: Context) -> str:
    """Consent for everybody, which only some may give, and without which nobody signs in where people are assigned."""
    environment = context.environment
    if environment.get(AUTH_MODE, "proxy") == "verify":
        return "nobody signs in at the server: none is needed"
    if environment.says(ADMIN_CONSENT):
        return _right_to_consent(context)
    if environment.says(ASSIGNMENT_REQUIRED):
        return _given_consent(context)
    return "people consent for themselves, where the tenant lets them"


def _right_to_consent(context: Context) -> str:
    permissions = _permissions(context)
    if permissions is not None:
        return _permitted(
            permissions & CONSENT_PERMISSIONS,
            otherwise="ENTRA_ADMIN_CONSENT is true, and the pipeline's principal may not consent for everybody",
            least="DelegatedPermissionGrant.ReadWrite.All",
        )
    held = _roles(context)
    if held is None:
        return Note(f"{UNKNOWN}: ENTRA_ADMIN_CONSENT=true needs Cloud Application Administrator")
    able = held & CONSENT_ROLES
    expect(
        able,
        "ENTRA_ADMIN_CONSENT is true, and you have no role that may consent for everybody",
        remedy="an administrator gives you the role Cloud Application Administrator\n"
        "or deploy without, and let an administrator consent afterwards: azd env set ENTRA_ADMIN_CONSENT false",
    )
    return f"{', '.join(sorted(able))} may consent for everybody"


def _given_consent(context: Context) -> str:
    """Where people are assigned none may consent for themselves; an administrator may have done it by hand."""
    environment, graph = context.environment, context.services.graph
    client_id = environment.get(CLIENT_ID)
    principal = principal_of(graph, client_id) if client_id else None
    if principal is None:
        raise FoundError(
            "ENTRA_ASSIGNMENT_REQUIRED is true: nobody can sign in before an administrator consented for everybody",
            remedy="as Cloud Application Administrator: azd env set ENTRA_ADMIN_CONSENT true\n"
            "or, until an administrator has consented: azd env set ENTRA_ASSIGNMENT_REQUIRED false",
        )
    gap = gap_of(
        graph,
        principal_id=str(principal["id"]),
        own=[*environment.words(REQUIRED_SCOPES, DEFAULT_SCOPES), *environment.words(OPTIONAL_SCOPES)],
        additional=environment.words(ADDITIONAL_SCOPES, DEFAULT_ADDITIONAL_SCOPES),
        api_permissions=environment.words(API_PERMISSIONS),
    )
    expect(
        not gap.scopes,
        f"ENTRA_ASSIGNMENT_REQUIRED is true, and no administrator consented to {' '.join(gap.scopes)}",
        remedy=f"as Cloud Application Administrator: azd env set ENTRA_ADMIN_CONSENT true\nor {gap.remedy}",
    )
    return "an administrator consented for everybody"


def _claims(context: Context) -> dict[str, Any]:
    graph = context.services.graph
    return graph.tokens.claims(graph.scope)


def _permissions(context: Context) -> set[str] | None:
    """The application permissions of a pipeline's principal; None for a person."""
    claims = _claims(context)
    return set(cast("list[str]", claims.get("roles") or [])) if claims.get("idtyp") == "app" else None


def _permitted(granted: set[str], *, otherwise: str, least: str) -> str:
    expect(granted, otherwise, remedy=_permission_for_pipeline(least))
    return f"the pipeline's principal has {', '.join(sorted(granted))}"


def _permission_for_pipeline(name: str) -> str:
    return (
        f"an administrator gives it the application permission {name} of Microsoft Graph: docs/deploy.md, "
        "pipeline, has the commands"
    )


def _roles(context: Context) -> set[str] | None:
    """The directory roles of the account, by groups too; None when this account may not ask.

    Uncast: Graph answers the list of one type only with its eventual consistency, which may not know a new role yet.
    """
    found = _unless_refused(
        lambda: list(context.services.graph.pages("/v1.0/me/transitiveMemberOf", **{"$top": "999"}))
    )
    if found is None:
        return None
    return {str(one.get("displayName")) for one in found if one.get("@odata.type") == DIRECTORY_ROLE}


def _secret_policy(context: Context) -> str:
    policy = _unless_refused(lambda: context.services.graph.get("/v1.0/policies/defaultAppManagementPolicy"))
    if policy is None:
        return Note(UNKNOWN)
    active = _restrictions(context, policy)
    if "passwordAddition" in active and context.environment.has(EXISTING_CLIENT_ID):
        return Note(
            "no client secret may be added to the registration: put one that it has into the vault,\n"
            "or do without: azd env set AUTH_MODE federated"
        )
    expect(
        "passwordAddition" not in active,
        "a policy of the tenant forbids client secrets",
        remedy="azd env set AUTH_MODE federated\nor have an administrator exempt the registration",
    )
    longest = _duration(part(active, "passwordLifetime").get("maxLifetime"))
    days = days_of(context.environment)
    if longest is None or longest >= timedelta(days=days):
        return f"client secrets may live {days} days"
    return Note(
        f"client secrets live at most {longest.days} days here: made so, and renewed when a third is left.\n"
        "Run `azd hooks run postprovision` at least that often, or do without: azd env set AUTH_MODE federated"
    )


def _restrictions(context: Context, default: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What counts for the registration's secrets, by its type.

    A policy that is assigned to the registration, where that is made already, goes before the tenant's:
    https://learn.microsoft.com/graph/api/resources/appmanagementpolicy
    """
    services, environment = context.services, context.environment
    client_id = environment.get(EXISTING_CLIENT_ID) or environment.get(CLIENT_ID)
    application = services.directory.find_application(client_id=client_id) if client_id else None
    listed = entries(default, "applicationRestrictions", "passwordCredentials") if default.get("isEnabled") else []
    if application is not None:
        path = f"/v1.0/applications/{application.object_id}/appManagementPolicies"
        for own in entries(_unless_refused(lambda: services.graph.get(path)), "value"):
            if own.get("isEnabled") and part(own, "restrictions").get("passwordCredentials") is not None:
                listed = entries(own, "restrictions", "passwordCredentials")
                break
    created = application.created if application is not None else None
    return {
        str(one["restrictionType"]): one
        for one in listed
        if one.get("state", "enabled") == "enabled" and _concerns(one, created)
    }


def _concerns(restriction: dict[str, Any], created: datetime | None) -> bool:
    """Whether a restriction counts for the registration: many count for those alone that are made after a day."""
    since = restriction.get("restrictForAppsCreatedAfterDateTime")
    return not since or created is None or created > datetime.fromisoformat(str(since))


def _token_protection(context: Context) -> str:
    """Such a policy may take tokens away from azd and az, half way through a deployment (AADSTS530084)."""
    found = _unless_refused(lambda: context.services.graph.get("/v1.0/identity/conditionalAccess/policies"))
    if found is None:
        return Note(f"{UNKNOWN}; this account did get the tokens that a deployment needs")
    names = [
        str(policy.get("displayName"))
        for policy in entries(found, "value")
        if policy.get("state") == "enabled" and part(policy, "sessionControls", "secureSignInSession").get("isEnabled")
    ]
    if not names:
        return "no policy protects tokens"
    return Note(
        f"token protection is on: {', '.join(names)}. This account got its tokens all the same;\n"
        "where one is refused (AADSTS530084), deploy from a pipeline: azd pipeline config"
    )


def _deleted_registrations(context: Context) -> str | None:
    directory, environment = context.services.directory, context.environment
    names = {"client_id": environment.get(CLIENT_ID), "unique_name": environment.get(APP_UNIQUE_NAME)}
    if not any(names.values()):
        return Note("no name is known yet: this environment was never provisioned")
    found = _unless_refused(lambda: directory.deleted_applications(**names), refusals={HTTPStatus.FORBIDDEN})
    if found is None:
        return Note(UNKNOWN)
    for application in found:
        context.report.finding(
            "deleted registration",
            f"{application.name} keeps the unique name {application.unique_name} for 30 days",
            remedy=f"python -m ops postdown --purge\nor get it back: {directory.recovery_of(application)}",
        )
    return None if found else "none is in the way"


def _unless_refused[T](ask: Callable[[], T], *, refusals: Collection[int] = NOT_TOLD) -> T | None:
    """What Graph answers, or None when this account may not ask, which Graph says with one of `refusals`."""
    try:
        return ask()
    except ApiError as error:
        if error.status not in refusals:
            raise
        return None


def _duration(limit: object) -> timedelta | None:
    """An ISO 8601 duration, as Graph writes limits; None where there is no limit."""
    try:
        return TypeAdapter(timedelta).validate_python(limit)
    except ValidationError:
        return None
