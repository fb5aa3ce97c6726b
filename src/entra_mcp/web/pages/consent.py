"""The page that asks a person whether a client may act for them.

Threat: the confused deputy. Anyone can register a client and send people its authorization link, so the page shows what
is only claimed, the name, from what is certain, the place that the sign-in will be sent to
(https://modelcontextprotocol.io/specification/2025-11-25/basic/security_best_practices#confused-deputy-problem).
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from entra_mcp.urls import is_loopback
from entra_mcp.web.pages.layout import card
from entra_mcp.web.pages.text import isolated, plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from entra_mcp.web.pages.layout import Brand

NAME_CHARACTERS = 64
DETAIL_CHARACTERS = 300

GRAPH = "https://graph.microsoft.com/"

PERMISSIONS = {
    "openid": "know who you are",
    "profile": "see your name",
    "email": "see your email address",
    "offline_access": "stay signed in while you are away",
    "User.Read": "read your profile",
    "Calendars.Read": "read your calendars",
    "Calendars.ReadWrite": "read and change your calendars",
    "Files.Read": "read your files",
    "Files.ReadWrite": "read and change your files",
    "Mail.Read": "read your mail",
    "Mail.ReadWrite": "read and change your mail",
    "Mail.Send": "send mail as you",
    "Sites.Read.All": "read all sites that you can read",
}
"""What common permissions allow, in words that follow "permission to"; others are named as they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentRequest:
    """What a person is asked; everything but the server's name comes from the client, or from whoever sent the link."""

    brand: Brand
    client_id: str
    client_name: str | None
    redirect_uri: str
    scopes: Sequence[str]
    further: Sequence[str]
    """Those of the scopes that not every client has, but only who asks for them."""
    permissions: Sequence[str]
    """What Entra ID is asked for beyond the scopes of the client; once an administrator consented, no page of Entra ID
    names them to anybody else."""
    fields: Mapping[str, str]
    """The hidden fields that the form sends back."""


def consent_page(request: ConsentRequest) -> str:
    """Returns the page as HTML. Its form posts to the address it was loaded from, with `action` approve or deny."""
    name = plain(request.client_name or "", limit=NAME_CHARACTERS)
    client = isolated(name) if name else "An application without a name"
    server = escape(request.brand.name)
    where, what = _destination(request.redirect_uri)
    further = "".join(f"<li>call tools that need <code>{_detail(scope)}</code></li>" for scope in request.further)
    asked = "".join(f"<li><code>{_detail(scope)}</code></li>" for scope in request.scopes)
    permissions = "".join(f"<li>{_permission(scope)}</li>" for scope in request.permissions)
    hidden = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">' for name, value in request.fields.items()
    )
    return card(
        "Allow access?",
        f"""\
<h1 class="claimed">{client} wants to use {server} as you</h1>
<section class="well" aria-label="Where your sign-in goes">
<p class="soft">If you allow it, your sign-in goes to</p>
<p class="host">{where}</p>
<p class="soft">{what}</p>{_publisher(request.client_id)}
</section>
<h2>It asks to</h2>
<ul><li>call the tools of {server} with your Microsoft account</li>{further}</ul>
{f"<h2>{server} asks Microsoft for permission to</h2><ul>{permissions}</ul>" if permissions else ""}
<p class="mark"><strong>Did you start this yourself, just now?</strong> An application chooses its own name. If you do
not recognize the address above, or followed a link that somebody sent you, deny it.</p>
<form method="post" action="">{hidden}
<div class="actions"><button class="main" name="action" value="approve">Allow Access</button>
<button class="other" name="action" value="deny">Deny</button></div>
</form>
<p class="soft">After you allow it, you sign in with Microsoft. {server} never sees your password.</p>
<details><summary>Details</summary>
<dl><dt>Client id</dt><dd><code>{_detail(request.client_id)}</code></dd>
<dt>Return address</dt><dd><code>{_detail(request.redirect_uri)}</code></dd>
<dt>Scopes</dt><dd>{f"<ul>{asked}</ul>" if asked else "none"}</dd></dl>
</details>""",
        brand=request.brand,
    )


def _destination(redirect_uri: str) -> tuple[str, str]:
    """Returns, as HTML, what a person knows the receiver of the redirect by, and what that is."""
    parts = urlsplit(redirect_uri)
    if is_loopback(redirect_uri):
        return "a program on this computer", f"It listens at {_detail(parts.netloc)}."
    if parts.scheme in {"https", "http"}:
        return _detail(parts.hostname or ""), "This web site is on the list of addresses that the server accepts."
    scheme = _detail(f"{parts.scheme}:")
    return f"the application for {scheme} links", "It is installed on this computer, and on the server's list."


def _permission(scope: str) -> str:
    """Returns, as HTML, what a permission allows, and its name."""
    name = f"<code>{_detail(scope)}</code>"
    known = PERMISSIONS.get(scope.removeprefix(GRAPH))
    return f"{known} ({name})" if known else f"use {name}"


def _publisher(client_id: str) -> str:
    """Returns, as HTML, who vouches for a client whose id is the address of its metadata document."""
    parts = urlsplit(client_id)
    if parts.scheme != "https":
        return ""
    return f'\n<p class="soft">The application is published at <strong>{_detail(parts.hostname or "")}</strong>.</p>'


def _detail(text: str) -> str:
    return isolated(plain(text, limit=DETAIL_CHARACTERS))
