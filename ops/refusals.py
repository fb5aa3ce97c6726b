"""What to do when Microsoft Graph, Azure Resource Manager or Key Vault refuse: the one table of their codes.

The pages of docs/errors are written from this table.
"""

from __future__ import annotations

from http import HTTPStatus

REFUSALS: dict[str, str] = {
    "Authorization_RequestDenied": (
        "The signed-in account may not do this to the registration. Become its owner, or get the role Application "
        "Developer (to make one) or Application Administrator; a pipeline's principal needs "
        "Application.ReadWrite.OwnedBy and has to be an owner."
    ),
    "AuthorizationFailed": (
        "The signed-in account lacks a role in Azure. Get Contributor, and Role Based Access Control Administrator, on "
        "the resource group or subscription; after a new assignment sign in again."
    ),
    "LinkedAuthorizationFailed": (
        "The signed-in account lacks a role on a resource that this one refers to. Get Contributor on that one too."
    ),
    "CredentialInvalidLifetimeAsPerAppPolicy": (
        "A policy of the tenant limits the lifetime of client secrets to less than a day. Deploy without one: "
        "`azd env set AUTH_MODE federated`, then `azd provision`."
    ),
    "CredentialTypeNotAllowedAsPerAppPolicy": (
        "A policy of the tenant forbids client secrets. Deploy without one: `azd env set AUTH_MODE federated`, then "
        "`azd provision`; or have an administrator exempt the registration."
    ),
    "Request_ResourceNotFound": (
        "The registration is not there. `python -m ops doctor` shows whether it was deleted, and how to get it back."
    ),
    "ResourceNotFound": (
        "The resource is not there. Run `azd provision --no-state`, or choose azd's environment with --environment."
    ),
    "ResourceGroupNotFound": (
        "The resource group is not there. Run `azd provision --no-state`, or choose azd's environment with "
        "--environment."
    ),
    "SubscriptionNotFound": (
        "The signed-in account does not see the subscription. Sign in to the right tenant: "
        "`azd auth login --tenant-id <AZURE_TENANT_ID>`."
    ),
    "InvalidAuthenticationTokenTenant": (
        "The account is signed in to another tenant than the subscription's: `azd auth login --tenant-id "
        "<AZURE_TENANT_ID>`."
    ),
    "InvalidAuthenticationToken": "The sign-in is no longer good: `azd auth login`.",
    "ExpiredAuthenticationToken": "The sign-in is no longer good: `azd auth login`.",
    "MissingSubscriptionRegistration": (
        "A resource provider is not registered. `python -m ops preflight` names it and gives the command."
    ),
    "MethodNotAllowed": (
        "The vault is protected against purging. Its name is free when its retention period is over; deploy under "
        "another name of the environment, or get the vault back: `az group create --name <its group> --location "
        "<region>`, then `az keyvault recover --name <name> --location <region>`."
    ),
    "ForbiddenByRbac": (
        'The signed-in account has no role in the vault itself: `az role assignment create --role "Key Vault Secrets '
        'Officer" --assignee <you> --scope <AZURE_KEY_VAULT_ID>`; it takes a few minutes to count.'
    ),
    "ForbiddenByPolicy": (
        "An Azure Policy for the secrets of vaults forbids it as it was to be stored; the message says why. Where "
        "secrets have to expire, or soon: `azd env set VAULT_EXPIRY_DATE <day>`, and for the client secret `azd env "
        "set CLIENT_SECRET_DAYS <days>` or `azd env set AUTH_MODE federated`. Then run `azd provision`; or have the "
        "vault exempted from the policy."
    ),
    "ForbiddenByFirewall": (
        "The vault answers its private network only. Run the command from a machine in that network."
    ),
    "ForbiddenByConnection": (
        "The vault answers its private network only. Run the command from a machine in that network."
    ),
    "ObjectIsDeletedButRecoverable": (
        "The secret was deleted. Get it back: `az keyvault secret recover --vault-name <name> --name <secret>`, then "
        "run the command again."
    ),
    "ScopeLocked": (
        "A lock on the resource forbids it. Remove the one of `RESOURCE_LOCK`: `az lock delete --name no-deletion "
        "--resource-group <name>`; `az lock list --resource-group <name>` shows others."
    ),
    "RequestDisallowedByPolicy": (
        "An Azure Policy of the subscription forbids it; the message names the policy. Ask whoever keeps it."
    ),
    "TooManyRequests": (
        "The service limits requests, and still does after several tries. Wait a few minutes, then run the command "
        "again."
    ),
}

BY_STATUS: dict[int, str] = {
    HTTPStatus.UNAUTHORIZED: "The sign-in is not accepted: `azd auth login`, or `az login`.",
    HTTPStatus.FORBIDDEN: "The signed-in account may not do this; docs/deploy.md lists the permissions it needs.",
    HTTPStatus.NOT_FOUND: "It is not there. Check the names with `azd env get-values`.",
    HTTPStatus.TOO_MANY_REQUESTS: REFUSALS["TooManyRequests"],
}


def remedy_for(code: str, status: int) -> str:
    """What to do about a refusal, by its code, else by its status."""
    found = REFUSALS.get(code) or BY_STATUS.get(status)
    return found or "Run the command again; if it fails again, docs/troubleshooting.md shows where to look."
