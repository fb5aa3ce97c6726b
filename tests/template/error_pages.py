"""Writes docs/errors, a page for each error code: `python -m tests.template.error_pages`.

What the pages say about codes of Entra ID, Azure and Microsoft Graph is what `python -m ops doctor --explain` says.
"""

from __future__ import annotations

from dataclasses import dataclass

from local.config import REPOSITORY
from local.entra.errors import KINDS
from ops.aadsts import AADSTS, SIGN_IN_ADDRESS
from ops.refusals import REFUSALS

FOLDER = REPOSITORY / "docs" / "errors"


@dataclass(frozen=True, slots=True)
class Own:
    """An error of the server itself: how it is answered, what it means, and what to do."""

    status: int
    means: str
    remedy: str


OWN: dict[str, Own] = {
    "temporarily_unavailable": Own(
        503,
        "The server could not start, or something it depends on does not answer.",
        "Wait for the seconds of `Retry-After`; nobody is signed out. `<MCP_BASE_URL>/readyz` names the part that is "
        "missing, and [troubleshooting](../troubleshooting.md#what-readyz-names) what to do about each.",
    ),
    "server_error": Own(
        500,
        "The server failed.",
        "Search the log for the `correlation_id` of the answer. The line and its traceback show the reason.",
    ),
    "misdirected_request": Own(
        421,
        "The request came for a host name that is not the server's.",
        "Use `MCP_BASE_URL`. If a proxy passes on a name of its own, add that name to `MCP_ALLOWED_HOSTS`.",
    ),
    "forbidden_origin": Own(
        403,
        "A script of a web page called `/mcp`, and the page's origin is not allowed.",
        'If the page may call the server: `MCP_ALLOWED_ORIGINS="https://..."`.',
    ),
    "invalid_redirect_uri": Own(
        400,
        "A client registered with a redirect URI that is not on the allow-list.",
        "The answer and the log name the URI, and the word that admits it where there is one. Add it: "
        '`MCP_ALLOWED_REDIRECT_URIS="defaults https://..."` ([settings](../settings.md#clients)).',
    ),
    "invalid_client_metadata": Own(
        400,
        "A client registered with metadata that is too long, too deep, or not of the right type.",
        "The description in the answer names the field. Correct the client.",
    ),
    "invalid_scope": Own(
        400,
        "A client asked only for scopes that this server does not offer.",
        "Ask for scopes of `ENTRA_REQUIRED_SCOPES` and `ENTRA_OPTIONAL_SCOPES`, or for none.",
    ),
    "invalid_target": Own(
        400,
        "A client asked for a token for another server.",
        "Give the client the address `<MCP_BASE_URL>/mcp`, letter by letter.",
    ),
    "invalid_grant": Own(
        400,
        "A code or refresh token is not good: it was used before, has expired, or its sign-in has ended.",
        "Sign in again; clients do this by themselves. When it happens often, read "
        "[what ends a sign-in](../security.md#what-a-revocation-takes).",
    ),
    "invalid_token": Own(
        401,
        "The access token has expired, or was issued for another address.",
        "Clients refresh it or sign in again by themselves. If it repeats, use `<MCP_BASE_URL>/mcp` letter by letter: "
        "`localhost` is not `127.0.0.1`.",
    ),
    "insufficient_scope": Own(
        403,
        "The access token is good and lacks a scope: one that every call needs, or one of the tool. An application "
        "without one of the roles of `ENTRA_ALLOWED_APP_ROLES` gets it too.",
        "Clients ask for the scopes that the answer names, and the person allows them. "
        "[A scope for a tool](../guides/roles-and-scopes.md#4-a-scope-for-a-tool) says more.",
    ),
    "too_many_requests": Own(
        429,
        "Too many clients registered within a minute.",
        "Wait for the seconds of `Retry-After`, or raise `MCP_REGISTRATIONS_PER_MINUTE`. Behind a proxy also set "
        "`MCP_CLIENT_ADDRESS_HEADER`.",
    ),
}

PLAY = """\
## See it on your machine

While `make run` is up, this lets the next token request of the server fail with the code:

```sh
curl --cacert .local/tls/ca.pem https://127.0.0.1:7443/_local/faults --json '{{"code": {code}}}'
```
"""


def pages() -> dict[str, str]:
    """The text of each file of the folder, by its name."""
    found = {"README.md": _index()}
    for code, known in AADSTS.items():
        more = f"Microsoft's own page: <{SIGN_IN_ADDRESS}{code}>.\n"
        more += f"\n{PLAY.format(code=code)}" if code in KINDS else ""
        found[f"AADSTS{code}.md"] = _page(f"AADSTS{code}", known.means, known.remedy, "Microsoft Entra ID", more)
    for code, remedy in REFUSALS.items():
        found[f"{code}.md"] = _page(code, "", remedy, "Azure or Microsoft Graph", "")
    for code, own in OWN.items():
        found[f"{code}.md"] = _page(code, own.means, own.remedy, f"this server, with status {own.status}", "")
    return found


def _page(code: str, means: str, remedy: str, source: str, more: str) -> str:
    parts = [f"# {code}", means, f"The error comes from {source}.", f"## What to do\n\n{remedy}", more.rstrip()]
    parts.append("[All codes](README.md), and [what else can go wrong](../troubleshooting.md)")
    return "\n\n".join(filter(None, parts)) + ".\n"


def _index() -> str:
    entra = "".join(f"| [AADSTS{code}](AADSTS{code}.md) | {known.means} |\n" for code, known in AADSTS.items())
    others = "".join(f"| [{code}]({code}.md) | {remedy} |\n" for code, remedy in REFUSALS.items())
    own = "".join(f"| [{code}]({code}.md) | {known.status} | {known.means} |\n" for code, known in OWN.items())
    return f"""# Error codes

`python -m ops doctor --explain AADSTS65001` prints the same in a terminal.

## Codes of this server

| code | status | it means |
|---|---|---|
{own}
## Codes of Entra ID

| code | it means |
|---|---|
{entra}
## Codes of Azure and Microsoft Graph

The commands of `python -m ops`, and `azd`, can be refused with these.

| code | what to do |
|---|---|
{others}"""


def main() -> None:
    """Write the folder again."""
    FOLDER.mkdir(exist_ok=True)
    for file in FOLDER.glob("*.md"):
        file.unlink()
    for name, text in pages().items():
        (FOLDER / name).write_text(text, "utf-8")


if __name__ == "__main__":
    main()
