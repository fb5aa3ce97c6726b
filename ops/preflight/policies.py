"""Policies of the subscription that would refuse a part of the deployment, and which variable satisfies each.

It reads the assignments at the resource group where it exists, at the subscription and above it, and what excludes or
exempts the group. Only an effect that refuses counts; of an initiative, which may hold hundreds of
definitions, the built-in ones that are not known here count by the effect that it gives them. What holds for some
resources only is no finding but a note. docs/deploy.md shows the same table, which a test compares.
https://learn.microsoft.com/azure/governance/policy/concepts/assignment-structure
https://learn.microsoft.com/azure/governance/policy/concepts/exemption-structure
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from ops.client_secret import days_of, wants_client_secret
from ops.deployment import GROUP_VERSION, resource_group
from ops.documents import entries, part, words
from ops.environment import (
    EXPIRY_DATE,
    LOCATION,
    PRESET,
    PRIVATE_NETWORK,
    PURGE_PROTECTION,
    RESOURCE_TAGS,
)
from ops.signing_key import expiry_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ops.command import Context
    from ops.environment import Environment
    from ops.http import Api

VERSION = "2023-04-01"
EXEMPTIONS_VERSION = "2022-07-01-preview"
AT_SCOPE = {"$filter": "atScope()"}
"""Without what is assigned to parts of the scope alone."""
REFUSING = frozenset({"deny", "denyaction"})
BUILT_IN = "/providers/microsoft.authorization/policydefinitions/"
INITIATIVE = "/policysetdefinitions/"
MANAGEMENT_GROUP = "/providers/microsoft.management/managementgroups/"
REFERENCE = re.compile(r"\[\s*parameters\(\s*'([^']+)'\s*\)\s*\]")

Parameters = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Policy:
    """A built-in definition that concerns this deployment."""

    name: str
    remedy: str
    satisfied: Callable[[Environment, Parameters, datetime], bool]
    """By the variables as they are, the parameters of the assignment, and the time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assigned:
    """A definition as it is assigned: by itself or in an initiative."""

    definition: str
    """The last part of its id, a GUID where it is built in."""
    assignment: str
    parameters: Parameters
    certain: bool
    """Whether it holds for every resource of the deployment."""


def _private(environment: Environment, *_: object) -> bool:
    return environment.says(PRIVATE_NETWORK)


def _protected(environment: Environment, *_: object) -> bool:
    return environment.get(PRESET) == "prod" or environment.says(PURGE_PROTECTION)


def _expiring(environment: Environment, *_: object) -> bool:
    return environment.has(EXPIRY_DATE)


def _tagged(environment: Environment, parameters: Parameters, *_: object) -> bool:
    tags = {name.lower(): value for name, value in environment.pairs(RESOURCE_TAGS).items()}
    name, wanted = str(parameters.get("tagName")).lower(), parameters.get("tagValue")
    return name in tags and wanted in {None, tags[name]}


def _short_enough(environment: Environment, parameters: Parameters, now: datetime) -> bool:
    """The policy refuses a secret that does not expire, too; the templates give all of theirs the one day."""
    longest, day = parameters.get("maximumValidityInDays"), expiry_of(environment, now=now)
    if day is None or not isinstance(longest, int):
        return day is not None
    too_long = wants_client_secret(environment) and days_of(environment) > longest
    return day <= now + timedelta(days=longest) and not too_long


def _allowed_location(environment: Environment, parameters: Parameters, *_: object) -> bool:
    chosen, allowed = plain(environment.get(LOCATION)), words(parameters, "listOfAllowedLocations")
    return not chosen or not allowed or chosen in map(plain, allowed)


TAGS = '`azd env set RESOURCE_TAGS "<name>=<value>"`, several with `;` between them.'
PRIVATE = "`azd env set PRIVATE_NETWORK true`."
ALLOWED = "`azd env set AZURE_LOCATION <one that is allowed>`, in a new environment."

POLICIES: Mapping[str, Policy] = {
    "e56962a6-4747-49cd-b67b-bf8b01975c4c": Policy("Allowed locations", ALLOWED, _allowed_location),
    "e765b5de-1225-4ba3-bd56-1ac6695af988": Policy("Allowed locations for resource groups", ALLOWED, _allowed_location),
    "871b6d14-10aa-478d-b590-94f262ecfa99": Policy("Require a tag on resources", TAGS, _tagged),
    "96670d01-0a4d-4649-9c89-2d3abc0a5025": Policy("Require a tag on resource groups", TAGS, _tagged),
    "1e30110a-5ceb-460c-a204-c1c3969c6d62": Policy("Require a tag and its value on resources", TAGS, _tagged),
    "8ce3da23-7156-49e4-b145-24f95f9dcb46": Policy("Require a tag and its value on resource groups", TAGS, _tagged),
    "b2982f36-99f2-4db5-8eff-283140c09693": Policy(
        "Storage accounts should disable public network access", PRIVATE, _private
    ),
    "34c877ad-507e-4c82-993e-3452a6e0ad3c": Policy(
        "Storage accounts should restrict network access", PRIVATE, _private
    ),
    "405c5871-3e91-4644-8a63-58e19d68ff5b": Policy(
        "Azure Key Vault should disable public network access", PRIVATE, _private
    ),
    "55615ac9-af46-4a59-874e-391cc3dfb490": Policy(
        "Azure Key Vault should have firewall enabled or public network access disabled", PRIVATE, _private
    ),
    "0b60c0b2-2dc2-4e1c-b5c9-abbed971de53": Policy(
        "Key vaults should have deletion protection enabled",
        "`azd env set VAULT_PURGE_PROTECTION true`; or in a new environment `azd env set DEPLOYMENT_PRESET prod`.",
        _protected,
    ),
    "98728c90-32c7-4049-8429-847dc0f4fe37": Policy(
        "Key Vault secrets should have an expiration date",
        "`azd env set VAULT_EXPIRY_DATE <a day, such as 2027-03-01>`, for the signing key; the client secret has one.",
        _expiring,
    ),
    "342e8053-e12e-4c44-be01-c3c2f318400f": Policy(
        "Secrets should have the specified maximum validity period",
        "`azd env set VAULT_EXPIRY_DATE <a day that the policy allows>`, for the signing key; for the client secret "
        "`azd env set CLIENT_SECRET_DAYS <no more than the policy says>` or `azd env set AUTH_MODE federated`.",
        _short_enough,
    ),
}
"""By the GUIDs of the definitions. Others of Azure's own ask for what every deployment has: no keys, TLS 1.2, RBAC."""


def check(context: Context, arm: Api, base: str) -> str | None:
    """Reports each assignment that would refuse the deployment as it is set up."""
    report, environment, now = context.report, context.environment, context.now()
    name = resource_group(environment)
    group = f"{base}/resourceGroups/{name}" if name else base
    refusing = list(_refusing(arm, group=group, base=base, now=now))
    known = [(POLICIES[one.definition], one) for one in refusing if one.definition in POLICIES]
    unsatisfied = [(policy, one) for policy, one in known if not policy.satisfied(environment, one.parameters, now)]
    found = [(policy, one) for policy, one in unsatisfied if one.certain]
    for policy, one in found:
        report.finding("policy", f"the assignment {one.assignment} refuses: {policy.name}", remedy=policy.remedy)
    others = {one.assignment for one in refusing if one.definition not in POLICIES}
    if others := sorted(others | {one.assignment for _, one in unsatisfied if not one.certain}):
        report.note("policy", f"may refuse something, which cannot be judged from here: {', '.join(others)}")
    return None if found else f"none of {len(known)} that are known refuses the deployment"


def _refusing(arm: Api, *, group: str, base: str, now: datetime) -> Iterator[Assigned]:
    """The definitions that are assigned to the group with an effect that refuses; it may be made later."""

    @cache
    def definition_of(identifier: str) -> dict[str, Any]:
        """Empty where there is none any more."""
        return part(arm.find(identifier, **{"api-version": VERSION}), "properties")

    made = arm.find(group, **{"api-version": GROUP_VERSION}) is not None
    scope = f"{group if made else base}/providers/Microsoft.Authorization"
    exemptions = list(_exemptions(arm, scope, now=now))
    for document in arm.pages(f"{scope}/policyAssignments", **{"api-version": VERSION, **AT_SCOPE}):
        assignment = part(document, "properties")
        excluded = [one.lower() for one in words(assignment, "notScopes")]
        within = any(f"{group}/".lower().startswith(f"{one}/") for one in excluded)
        if within or assignment.get("enforcementMode") == "DoNotEnforce":
            continue
        above = any(one.startswith(MANAGEMENT_GROUP) for one in excluded)
        whole = not (above or assignment.get("overrides") or assignment.get("resourceSelectors"))
        own = [one for one in exemptions if one["policyAssignmentId"].lower() == str(document.get("id")).lower()]
        # Definitions that concern nothing here are not read: this account may not be allowed to.
        if any(not (words(one, "policyDefinitionReferenceIds") or one.get("resourceSelectors")) for one in own):
            continue
        name = str(assignment.get("displayName") or document.get("name"))
        overriding = {str(one.get("value")).lower() for one in entries(assignment, "overrides")}
        for identifier, given, reference in _members(assignment, definition_of):
            exempted = [one for one in own if reference in (words(one, "policyDefinitionReferenceIds") or [reference])]
            if any(not one.get("resourceSelectors") for one in exempted):
                continue
            guid = identifier.rsplit("/", 1)[-1].lower()
            # An initiative may hold hundreds that say nothing of this deployment.
            read = not reference or guid in POLICIES or not identifier.lower().startswith(BUILT_IN)
            definition = definition_of(identifier) if read else {}
            parameters = _defaults(definition) | given
            effect = parameters.get("effect") or part(definition, "policyRule", "then").get("effect")
            if not REFUSING.isdisjoint({str(effect).lower(), *overriding}):
                yield Assigned(definition=guid, assignment=name, parameters=parameters, certain=whole and not exempted)


def _exemptions(arm: Api, scope: str, *, now: datetime) -> Iterator[dict[str, Any]]:
    """Those that have not expired."""
    for document in arm.pages(f"{scope}/policyExemptions", **{"api-version": EXEMPTIONS_VERSION, **AT_SCOPE}):
        exemption = part(document, "properties")
        expires = exemption.get("expiresOn")
        if not expires or datetime.fromisoformat(expires) > now:
            yield exemption


def _members(
    assignment: dict[str, Any], definition_of: Callable[[str], dict[str, Any]]
) -> Iterator[tuple[str, Parameters, str]]:
    """The id of each definition, what it is given, and its name in an initiative; empty where it is in none."""
    identifier, given = str(assignment.get("policyDefinitionId")), _values(part(assignment, "parameters"))
    if INITIATIVE not in identifier.lower():
        yield identifier, given, ""
        return
    assigned = definition_of(identifier)
    outer = _defaults(assigned) | given
    for one in entries(assigned, "policyDefinitions"):
        inner = _resolved(_values(part(one, "parameters")), outer)
        yield str(one.get("policyDefinitionId")), inner, str(one.get("policyDefinitionReferenceId"))


def _values(parameters: Parameters) -> Parameters:
    return {name: part(given).get("value") for name, given in parameters.items()}


def _defaults(definition: dict[str, Any]) -> Parameters:
    declared = part(definition, "parameters")
    return {name: one["defaultValue"] for name in declared if "defaultValue" in (one := part(declared, name))}


def _resolved(parameters: Parameters, outer: Parameters) -> Parameters:
    """With what `[parameters('name')]` stands for."""
    return {
        name: outer.get(reference[1]) if (reference := REFERENCE.fullmatch(str(value))) else value
        for name, value in parameters.items()
    }


def plain(region: str) -> str:
    """The name of a region as it can be compared."""
    return region.replace(" ", "").lower()
