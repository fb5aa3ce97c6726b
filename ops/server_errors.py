"""Errors that the server answers with, by their code in the JSON: what each means, and what to do."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ServerError:
    """How an error is answered, what it means, and what to do."""

    status: int
    means: str
    remedy: str


SERVER_ERRORS: dict[str, ServerError] = {
    "temporarily_unavailable": ServerError(
        503,
        "The server could not start, or something it depends on does not answer.",
        "Wait for the seconds of `Retry-After`; nobody is signed out. `<MCP_BASE_URL>/readyz` names the part that is "
        "missing, and docs/troubleshooting.md#what-readyz-names what to do about each.",
    ),
    "server_error": ServerError(
        500,
        "The server failed.",
        "Search the log for the `correlation_id` of the answer. The line and its traceback show the reason.",
    ),
    "misdirected_request": ServerError(
        421,
        "The request came for a host name that is not the server's.",
        "Use `MCP_BASE_URL`. If a proxy passes on a name of its own, add that name to `MCP_ALLOWED_HOSTS`.",
    ),
    "forbidden_origin": ServerError(
        403,
        "A script of a web page called `/mcp`, and the page's origin is not allowed.",
        'If the page may call the server: `MCP_ALLOWED_ORIGINS="https://..."`.',
    ),
    "invalid_redirect_uri": ServerError(
        400,
        "A client registered with a redirect URI that is not on the allow-list.",
        "The answer and the log name the URI, and the word that admits it where there is one. Add it: "
        '`MCP_ALLOWED_REDIRECT_URIS="defaults https://..."` (docs/settings.md#clients).',
    ),
    "invalid_client_metadata": ServerError(
        400,
        "A client registered with metadata that is too long, too deep, or not of the right type.",
        "The description in the answer names the field. Correct the client.",
    ),
    "invalid_scope": ServerError(
        400,
        "A client asked only for scopes that this server does not offer.",
        "Ask for scopes of `ENTRA_REQUIRED_SCOPES` and `ENTRA_OPTIONAL_SCOPES`, or for none.",
    ),
    "invalid_target": ServerError(
        400,
        "A client asked for a token for another server.",
        "Give the client the address `<MCP_BASE_URL>/mcp`, letter by letter.",
    ),
    "invalid_grant": ServerError(
        400,
        "A code or refresh token is not good: it was used before, has expired, or its sign-in has ended.",
        "Sign in again; clients do this by themselves. When it happens often, read "
        "docs/security.md#what-a-revocation-takes.",
    ),
    "invalid_token": ServerError(
        401,
        "The access token has expired, or was issued for another address.",
        "Clients refresh it or sign in again by themselves. If it repeats, use `<MCP_BASE_URL>/mcp` letter by letter: "
        "`localhost` is not `127.0.0.1`.",
    ),
    "insufficient_scope": ServerError(
        403,
        "The access token is good and lacks a scope: one that every call needs, or one of the tool. An application "
        "without one of the roles of `ENTRA_ALLOWED_APP_ROLES` gets it too.",
        "Clients ask for the scopes that the answer names, and the person allows them. "
        "docs/guides/roles-and-scopes.md#4-a-scope-for-a-tool describes it.",
    ),
    "too_many_requests": ServerError(
        429,
        "Too many clients registered within a minute, or one caller made too many calls.",
        "Wait for the seconds of `Retry-After`. At `/register` you can raise `MCP_REGISTRATIONS_PER_MINUTE`, at `/mcp` "
        "`MCP_CALLS_PER_MINUTE`. Behind a proxy also set `MCP_CLIENT_ADDRESS_HEADER`.",
    ),
    "invalid_request": ServerError(
        400,
        "A parameter is missing, came more than once, or came in another form than the endpoint takes.",
        "The description in the answer names it. Correct the client.",
    ),
    "invalid_client": ServerError(
        401,
        "The client did not prove who it is: it has no registration here, or its assertion is not good.",
        "Clients that register do so again by themselves. For a client with a document, the description and the log "
        "have the reason: keys, audience or times of its assertion.",
    ),
    "unsupported_grant_type": ServerError(
        400,
        "A client asked for a token in a way that this server does not offer.",
        "The description names the grant types. Identity assertions need `MCP_IDENTITY_ASSERTION_ISSUERS`.",
    ),
    "access_denied": ServerError(
        302,
        "The sign-in ended without access: the person pressed Deny, or Entra ID refused them.",
        "The description is for the person, and names the code of Entra ID where there is one. Sign in again.",
    ),
    "request_too_large": ServerError(
        413,
        "The body of a request is larger than its path takes.",
        "Send less, or raise `MCP_BODY_LIMIT` for `/mcp`, `MCP_OAUTH_BODY_LIMIT` elsewhere. The description has "
        "the limit.",
    ),
    "request_timeout": ServerError(
        408,
        "The body of a request did not arrive in time.",
        "Send it again. If it repeats, look at the network or the proxy between the client and the server.",
    ),
    "method_not_allowed": ServerError(
        405,
        "The path does not take this method.",
        "The header `Allow` names those that it takes.",
    ),
}
