"""What the error codes of Entra ID mean for this server, and what fixes each: the one table of them.

Codes: https://learn.microsoft.com/entra/identity-platform/reference-error-codes. The pages of docs/errors
are written from this table.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

SIGN_IN_ADDRESS = "https://login.microsoftonline.com/error?code="

PROVISION = (
    "Run `azd provision --no-state`, or with `ENTRA_EXISTING_CLIENT_ID` the command that `python -m ops doctor` gives."
)


@dataclass(frozen=True, slots=True)
class Explanation:
    """In one sentence or two each: what a code means here, and what to do."""

    means: str
    remedy: str


AADSTS: dict[int, Explanation] = {
    16000: Explanation(
        "The account that the browser is signed in with is not one of this tenant.",
        "Sign in with another account, or open the sign-in in a private window.",
    ),
    28000: Explanation(
        "One request asks for scopes of two resources, which Entra ID allows at sign-in only.",
        "Leave `ENTRA_REQUIRED_SCOPES` to the registration's own scopes and put others into `ENTRA_ADDITIONAL_SCOPES`.",
    ),
    50001: Explanation(
        "The resource that was asked for has no application in this tenant.",
        "Compare `ENTRA_IDENTIFIER_URI` with the Application ID URI of the registration.",
    ),
    50011: Explanation(
        "The redirect URI is not registered.",
        "Add `<MCP_BASE_URL>/auth/callback` to the registration, platform Web; `python -m ops doctor` gives the "
        "command.",
    ),
    50020: Explanation(
        "The account belongs to another tenant, and is not a guest of this one.",
        "Invite it as a guest. To admit other tenants run `azd env set ENTRA_SIGN_IN_TENANT organizations` and "
        "`azd provision`; on your machine set `ENTRA_TENANT_ID=organizations`.",
    ),
    50034: Explanation(
        "The account does not exist in this tenant.",
        "Sign in with another account; check `ENTRA_TENANT_ID`.",
    ),
    50058: Explanation(
        "A silent sign-in found no session in the browser.",
        "Sign in interactively: let the client open the browser again.",
    ),
    50076: Explanation(
        "Conditional Access wants multi-factor authentication.",
        "Sign in again; a tool that acts on the caller's behalf passes that on to the client.",
    ),
    50079: Explanation(
        "The person has to register for multi-factor authentication first.",
        "Register at https://aka.ms/mfasetup, then sign in again.",
    ),
    50105: Explanation(
        "The application admits assigned people only, and this one is not assigned.",
        "Assign the person or a group to the enterprise application, or set *Assignment required* to No.",
    ),
    50126: Explanation(
        "User name or password is wrong.",
        "Sign in again.",
    ),
    50173: Explanation(
        "The session was ended: a password was changed, or sessions were revoked.",
        "Sign in again.",
    ),
    50194: Explanation(
        "The registration is for one tenant, and was used as if for all.",
        "For one tenant run `azd env set ENTRA_SIGN_IN_TENANT ''`, for any organization `azd env set "
        "ENTRA_SIGN_IN_TENANT organizations`; then `azd provision`. On your machine the setting is `ENTRA_TENANT_ID`, "
        "and a single tenant is its GUID.",
    ),
    51004: Explanation(
        "The account does not exist in the tenant that was asked.",
        "Check `ENTRA_TENANT_ID`; sign in with an account of that tenant.",
    ),
    53000: Explanation(
        "Conditional Access wants a managed, compliant device.",
        "Sign in from such a device, or let an administrator exclude the application.",
    ),
    53003: Explanation(
        "Conditional Access blocks the sign-in.",
        "An administrator finds the policy in the sign-in log of Entra ID, by the correlation id of the message.",
    ),
    54005: Explanation(
        "The authorization code was used before.",
        "Start the sign-in again. When it happens often, something opens the callback twice, a link scanner for "
        "instance.",
    ),
    65001: Explanation(
        "Nobody consented to a permission.",
        "Sign in again and accept, or let an administrator consent: "
        "`az ad app permission admin-consent --id <ENTRA_CLIENT_ID>`.",
    ),
    65004: Explanation(
        "The person declined to consent.",
        "Sign in again and accept.",
    ),
    65005: Explanation(
        "The application asks for a permission that its registration does not list.",
        "Add it to the registration's API permissions, or remove it from `ENTRA_ADDITIONAL_SCOPES`.",
    ),
    70008: Explanation(
        "A code or refresh token expired because nobody used it.",
        "Sign in again.",
    ),
    70011: Explanation(
        "A scope is missing or malformed.",
        "Write `ENTRA_REQUIRED_SCOPES` without the identifier URI; clients that send no scope get the server's own.",
    ),
    70043: Explanation(
        "Conditional Access limits how long a sign-in lasts, and this one has lasted that long.",
        "Sign in again.",
    ),
    90002: Explanation(
        "The tenant does not exist, or is in another cloud.",
        "Check `ENTRA_TENANT_ID`, and `ENTRA_AUTHORITY` in a sovereign cloud.",
    ),
    90072: Explanation(
        "The account comes from another tenant and is not known in this one.",
        "Invite it as a guest, or sign in with another account.",
    ),
    90094: Explanation(
        "Only an administrator may consent (*Need admin approval*): the tenant wants it so, or the application wants "
        "its people assigned.",
        "An administrator approves the request, or consents for everybody: `python -m ops doctor` gives the commands "
        "where people are assigned, else `az ad app permission admin-consent --id <ENTRA_CLIENT_ID>`.",
    ),
    240002: Explanation(
        "An ID token was sent where an access token belongs.",
        "Send the access token.",
    ),
    500011: Explanation(
        "The resource is not known in the tenant: its identifier URI is wrong, or nobody there has used it yet.",
        "`python -m ops doctor` compares `ENTRA_IDENTIFIER_URI` with the registration; "
        "`az ad sp create --id <ENTRA_CLIENT_ID>` adds it to the tenant.",
    ),
    500113: Explanation(
        "The registration has no redirect URI at all.",
        "Add `<MCP_BASE_URL>/auth/callback` to the registration, platform Web; `python -m ops doctor` gives the "
        "command.",
    ),
    500131: Explanation(
        "A token was sent on somebody's behalf that was not issued for this application.",
        "Set the registration's `requestedAccessTokenVersion` to 2 and compare `ENTRA_IDENTIFIER_URI` with it.",
    ),
    500133: Explanation(
        "A token was sent on somebody's behalf after it expired, or before it is valid.",
        "Sign in again; check the clock of the machine.",
    ),
    530003: Explanation(
        "Conditional Access wants a device that is registered with the tenant.",
        "Sign in from such a device; for `azd` and `az` use device management that the policy accepts, or a CI "
        "identity.",
    ),
    530084: Explanation(
        "A token protection policy of Conditional Access blocks tokens that are not bound to the device, as `azd` and "
        "`az` get them.",
        "Run the deployment from a pipeline with a federated credential, or have an administrator exclude you from the "
        "policy.",
    ),
    650052: Explanation(
        "The application asks for a service that the organization does not subscribe to or has switched off.",
        "Remove the scope from `ENTRA_ADDITIONAL_SCOPES`, or let an administrator add the service's principal.",
    ),
    650053: Explanation(
        "The application asks for a scope that the resource does not have.",
        "Compare `ENTRA_REQUIRED_SCOPES` with the registration's scopes, and `ENTRA_ADDITIONAL_SCOPES` with Microsoft "
        "Graph's.",
    ),
    650056: Explanation(
        "The registration is incomplete: it lists no permission for what it asks for.",
        "Run `azd provision --no-state`, or add the scopes of `ENTRA_ADDITIONAL_SCOPES` to its API permissions; then "
        "consent again.",
    ),
    700016: Explanation(
        "`ENTRA_CLIENT_ID` is not in the tenant of `ENTRA_TENANT_ID`.",
        "Correct one of the two; a deleted registration comes back with the command that `python -m ops doctor` gives.",
    ),
    700024: Explanation(
        "The managed identity's assertion is not within its time range.",
        "Check the clock; in Azure, try again.",
    ),
    700082: Explanation(
        "The refresh token expired because nobody used it.",
        "Sign in again.",
    ),
    700084: Explanation(
        "The refresh token reached the end of its fixed lifetime.",
        "Sign in again.",
    ),
    700211: Explanation(
        "No federated credential of the registration has the issuer that the managed identity's token has.",
        f"{PROVISION} The issuer is `https://<sign-in host>/<tenant>/v2.0`, with the host of your cloud "
        "(docs/environments.md).",
    ),
    700212: Explanation(
        "No federated credential of the registration has the audience that the managed identity's token has.",
        f"{PROVISION} The audience is that of your cloud, `api://AzureADTokenExchange` in the public one "
        "(docs/environments.md).",
    ),
    700213: Explanation(
        "No federated credential of the registration has the managed identity as its subject.",
        f"{PROVISION} The subject is the identity's principal id.",
    ),
    900144: Explanation(
        "A request to Entra ID lacks a parameter, which the message names.",
        "Update the client; it should talk to this server and not to Entra ID.",
    ),
    901002: Explanation(
        "The client sends `resource` to Entra ID directly.",
        "It should talk to this server: give it the address `<MCP_BASE_URL>/mcp`, letter by letter.",
    ),
    7000112: Explanation(
        "The application is disabled.",
        "Enable its enterprise application: `az ad sp update --id <ENTRA_CLIENT_ID> --set accountEnabled=true`.",
    ),
    7000114: Explanation(
        "The application may not act on behalf of the caller with this token.",
        "Sign in again with an account of the tenant; tokens of applications cannot be used this way.",
    ),
    7000215: Explanation(
        "The client secret is wrong: its id instead of its value, one of another registration, or one not known "
        "everywhere yet.",
        "Wait a minute. `python -m ops doctor` says whether the registration knows it, and `python -m ops "
        "postprovision` adds one where it does not; `python -m ops rotate client-secret` adds one in any case.",
    ),
    7000218: Explanation(
        "The request has no client secret: the redirect URI is registered for another platform than Web.",
        "Move `<MCP_BASE_URL>/auth/callback` to the platform Web; `python -m ops doctor` gives the command.",
    ),
    7000222: Explanation(
        "The client secret has expired.",
        "Run `python -m ops postprovision`, which renews it.",
    ),
    7000229: Explanation(
        "The registration has no enterprise application (service principal) in the tenant.",
        "Run `az ad sp create --id <ENTRA_CLIENT_ID>`.",
    ),
    9002313: Explanation(
        "The request is malformed.",
        "Update the client; when it is this server's own request, the log has the parameters that were sent.",
    ),
    9002326: Explanation(
        "The redirect URI is registered for the platform single-page application.",
        "Move `<MCP_BASE_URL>/auth/callback` to the platform Web; `python -m ops doctor` gives the command.",
    ),
    9010010: Explanation(
        "The client sends `resource` to Entra ID directly, beside the scope.",
        "It should talk to this server: give it the address `<MCP_BASE_URL>/mcp`, letter by letter.",
    ),
}


def codes_in(text: str) -> list[int]:
    """The AADSTS codes that a text names, each once, in their order."""
    return list(dict.fromkeys(int(found) for found in re.findall(r"AADSTS(\d{2,9})", text)))


def codes_shown(page: str) -> list[int]:
    """The codes of the errors that a page or an address shows: a colon and a sentence follow, not a mere mention."""
    shown = re.findall(r"AADSTS(\d{2,9})(?::|%3[aA])(?:\s|\+|%20)*[A-Z]", page)
    return list(dict.fromkeys(int(found) for found in shown))


def parse_code(text: str) -> int | None:
    """The number in `AADSTS65001`, `aadsts65001` or `65001`."""
    found = re.fullmatch(r"(?:AADSTS)?(\d{2,9})", text.strip(), re.IGNORECASE)
    return int(found.group(1)) if found else None
