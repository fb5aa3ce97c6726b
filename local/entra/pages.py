"""The pages a person sees: account picker, error, the way back to the app, signed out.

Threat: values of the request reach the page. Everything is escaped, there is no script but one with a nonce, no
request leaves the page, and no other page can frame it (RFC 9700 section 4.16). There is no `form-action` in the
policy: Chromium applies it to the whole chain of redirects after a form, whose end only the MCP client knows.
"""

from __future__ import annotations

import secrets
from html import escape
from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse

from local.config import REPOSITORY
from local.entra.errors import RequestIds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from local.entra.accounts import Account
    from local.entra.errors import EntraError
    from local.entra.tenants import TenantPath

_STYLE = """
:root { color-scheme: light dark; --back: #f3f2f1; --card: #fff; --text: #1b1a19; --soft: #605e5c; --line: #e1dfdd;
  --accent: #0f6cbd; --hover: #f5f9fd; --warn: #8a3707; --warn-back: #fdf3ec; }
@media (prefers-color-scheme: dark) { :root { --back: #141414; --card: #1f1f1f; --text: #f5f5f5; --soft: #adadad;
  --line: #3a3a3a; --accent: #62abf5; --hover: #26303a; --warn: #f7b58f; --warn-back: #33231a; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1.5rem; background: var(--back);
  color: var(--text); font: 1rem/1.5 system-ui, "Segoe UI", sans-serif; }
main { width: 100%; max-width: 30rem; background: var(--card); border: 1px solid var(--line); border-radius: .75rem;
  padding: 2rem; box-shadow: 0 2px 12px rgb(0 0 0 / 8%); overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 .25rem; font-weight: 600; }
h2, summary { font-size: .8125rem; color: var(--soft); font-weight: 600; margin: 1.5rem 0 .5rem; }
summary { cursor: pointer; border-radius: .25rem; }
p { margin: .5rem 0; }
.soft { color: var(--soft); font-size: .875rem; }
.banner { background: var(--warn-back); color: var(--warn); border-radius: .5rem; padding: .5rem .75rem;
  font-size: .875rem; margin: 0 0 1.25rem; }
button { font: inherit; color: inherit; cursor: pointer; }
.account { display: flex; gap: .875rem; align-items: center; width: 100%; text-align: start; padding: .75rem;
  margin: 0 0 .5rem; background: none; border: 1px solid var(--line); border-radius: .5rem; }
.account:hover { background: var(--hover); border-color: var(--accent); }
.account > span:last-child { min-width: 0; }
.account span span { display: block; }
.name { font-weight: 600; }
.name b { font-size: .75rem; font-weight: 600; color: var(--card); background: var(--accent); border-radius: 1rem;
  padding: .0625rem .5rem; margin-inline-start: .375rem; vertical-align: .0625rem; }
.face { flex: none; display: grid !important; place-items: center; width: 2.5rem; height: 2.5rem; border-radius: 50%;
  background: var(--accent); color: var(--card); font-size: .875rem; font-weight: 600; }
.problem .face { background: var(--warn); }
.action { border: 1px solid var(--line); border-radius: .375rem; padding: .4375rem 1.25rem; background: none; }
.action:hover { border-color: var(--accent); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
a.action { color: inherit; text-decoration: none; }
.actions { display: flex; flex-wrap: wrap; justify-content: flex-end; gap: .5rem; margin-top: 1.5rem; }
code { font-size: .8125rem; }
dl { font-size: .8125rem; color: var(--soft); margin: 1rem 0 0; }
dt { float: left; clear: left; margin-inline-end: .375rem; }
dd { margin: 0; }
a { color: var(--accent); }
"""
_BANNER = (
    '<p class="banner" role="note"><strong>Local stand-in for Microsoft Entra ID.</strong> '
    "The accounts are invented; no password is needed.</p>"
)


def picker(
    *,
    app: str,
    action: str,
    tenant: TenantPath,
    accounts: Sequence[Account],
    permissions: Sequence[str],
    hint: str | None,
) -> HTMLResponse:
    """Choose an account; `hint` puts the focus on a user name."""
    works: list[str] = []
    fails: list[str] = []
    for account in accounts:
        stranger = account.tenant_id not in tenant.tenants
        note = f"{account.note}; ends in AADSTS50020: not in this tenant" if stranger else account.note
        problem = bool(stranger or account.faults)
        focus = account.username == hint if hint else not works and not problem
        (fails if problem else works).append(_account(account, note=note, problem=problem, focus=focus))
    asked = ", ".join(f"<code>{escape(permission)}</code>" for permission in permissions)
    opened = "" if works else " open"
    trouble = (
        f"<details{opened}><summary>Test accounts for error cases</summary>{''.join(fails)}</details>" if fails else ""
    )
    return _page(
        "Pick an account",
        f"""<h1>Pick an account</h1>
<p class="soft">to continue to <strong>{escape(app)}</strong>, which asks for {asked}.</p>
<form method="post" action="{escape(action)}">
{"<h2>Accounts</h2>" if works else ""}{"".join(works)}
{trouble}
<div class="actions"><button class="action" name="action" value="cancel">Cancel</button></div>
</form>""",
    )


def error_page(error: EntraError, *, action: str = "", account: str = "") -> HTMLResponse:
    """What went wrong; with `action` the person may choose again or go back to the app with the error."""
    trace, choices = RequestIds.new(), ""
    if action:
        choices = f"""<form method="post" action="{escape(action)}">
<input type="hidden" name="account" value="{escape(account)}">
<div class="actions"><a class="action" href="{escape(action)}">Use another account</a>
<button class="action" name="action" value="return">Return to the app</button></div></form>"""
    page = f"docs/errors/AADSTS{error.code}.md"
    explained = f'<p class="soft">Explained in <code>{page}</code>.</p>' if (REPOSITORY / page).is_file() else ""
    return _page(
        "Sign-in failed",
        f"""<h1>Sorry, but we're having trouble signing you in.</h1>
<p>{escape(error.message)}</p>{explained}
<dl><dt>Trace ID:</dt><dd>{trace.trace_id}</dd><dt>Correlation ID:</dt><dd>{trace.correlation_id}</dd>
<dt>Timestamp:</dt><dd>{trace.timestamp}</dd></dl>{choices}""",
        status=400,
    )


def continue_page(redirect_uri: str, fields: Mapping[str, str]) -> HTMLResponse:
    """response_mode=form_post: a form that submits itself, or with its button."""
    inputs = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">' for name, value in fields.items()
    )
    return _page(
        "Working",
        f"""<h1>Signing you in</h1><form method="post" action="{escape(redirect_uri)}">{inputs}
<div class="actions"><button class="action">Continue</button></div></form>""",
        script="document.forms[0].submit()",
    )


def signed_out() -> HTMLResponse:
    return _page("Signed out", "<h1>You signed out of your account</h1><p>You may close this window.</p>")


def _account(account: Account, *, note: str, problem: bool, focus: bool) -> str:
    initials = "".join(word[0] for word in account.name.split()[:2])
    roles = "".join(f"<b>{escape(role)}</b>" for role in account.roles)
    return (
        f'<button class="account{" problem" if problem else ""}" name="account" value="{escape(account.key)}"'
        f'{" autofocus" if focus else ""}><span class="face" aria-hidden="true">{escape(initials)}</span>'
        f'<span><span class="name">{escape(account.name)}{roles}</span><span>{escape(account.username)}</span>'
        f'<span class="soft">{escape(note)}</span></span></button>\n'
    )


def _page(title: str, body: str, *, status: int = 200, script: str = "") -> HTMLResponse:
    nonce = secrets.token_urlsafe(16)
    scripts = f'<script nonce="{nonce}">{script}</script>' if script else ""
    content = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)} · local sign-in</title><link rel="icon" href="data:,">
<style nonce="{nonce}">{_STYLE}</style></head>
<body><main>{_BANNER}{body}</main>{scripts}</body></html>
"""
    policy = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; img-src data:; base-uri 'none'; "
        "frame-ancestors 'none'"
    )
    headers = {
        "Content-Security-Policy": policy,
        "X-Frame-Options": "DENY",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store, no-cache",
    }
    return HTMLResponse(content, status_code=status, headers=headers)
