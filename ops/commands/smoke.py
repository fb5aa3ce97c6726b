"""`python -m ops smoke`: whether a server at an address does what a client needs, and refuses what it must."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from entra_mcp.urls import is_loopback
from ops.attempt import attempt
from ops.clouds import checked_address
from ops.command import Command, number_of
from ops.environment import BASE_URL, CLIENT_ID
from ops.errors import BadInputError
from ops.smoke import authorization, discovery
from ops.smoke.target import Target

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping

    from ops.command import Context

    Step = Callable[[Target], str]

SIGN_IN_SECONDS = 300

DISCOVERY: Mapping[str, Step] = {
    "alive": discovery.alive,
    "ready": discovery.ready,
    "resource metadata": discovery.resource_metadata,
    "challenge": discovery.challenge,
    "wrong token": discovery.bad_token,
    "authorization server": discovery.server_metadata,
}
"""Each needs those before it."""

AUTHORIZATION: Mapping[str, Step] = {
    "way to Entra ID": authorization.way_to_entra,
    "foreign client": authorization.foreign_registration,
    "foreign redirect URI": authorization.foreign_redirect,
    "unknown client": authorization.unknown_client,
    "no PKCE": authorization.no_pkce,
    "wrong code": authorization.wrong_code,
    "forged callback": authorization.forged_callback,
}
"""Independent of each other, once a client is registered."""


def run(context: Context) -> int:
    """Takes one step after the other."""
    given = context.options.base_url
    base_url = _base_url(given or context.environment[BASE_URL])
    known = context.environment.get(BASE_URL).rstrip("/")
    # What azd knows is of its own deployment, and not of any other address.
    expected = context.options.ENTRA_CLIENT_ID or (context.environment.get(CLIENT_ID) if base_url == known else "")
    context.report.heading(f"Smoke test of {base_url}")
    fresh = not is_loopback(base_url)
    patience = context.services.patience
    server = Target(base_url=base_url, expected_client_id=expected, may_be_fresh=fresh, patience=patience)
    with closing(server) as target:
        _walk(context, target)
    findings = context.report.findings
    context.report.text(f"\n{findings} step(s) failed." if findings else "\nEverything passed that was tried.")
    return 1 if findings else 0


def _walk(context: Context, target: Target) -> None:
    if not all(_take(context, target, name, step) for name, step in DISCOVERY.items()):
        context.report.note("the rest", "was not tried: it needs what failed")
        return
    if not target.signs_people_in:
        context.report.note("registration", "not here: clients bring tokens of Entra ID (AUTH_MODE=verify)")
        return
    if not _take(context, target, "registration", authorization.registration):
        context.report.note("the rest", "was not tried: it needs what failed")
        return
    if not target.client_id:
        return
    for name, step in AUTHORIZATION.items():
        _take(context, target, name, step)
    if context.options.sign_in:
        from ops.smoke.sign_in import sign_in

        context.report.heading("Sign-in with the browser")
        seconds = context.options.sign_in_seconds
        attempt(context.report, "sign-in", lambda: sign_in(target.mcp_url, report=context.report, seconds=seconds))


def _take(context: Context, target: Target, name: str, step: Step) -> bool:
    return attempt(context.report, name, lambda: step(target))


def _base_url(text: str) -> str:
    address = checked_address(BASE_URL.name, text)
    if address.endswith("/mcp"):
        raise BadInputError(BASE_URL.name, "is the address without /mcp")
    return address


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("base_url", nargs="?", help="address of the server, without a path (default: MCP_BASE_URL)")
    parser.add_argument("--sign-in", action="store_true", help="also sign in with the system's browser, and call tools")
    parser.add_argument(
        "--sign-in-seconds",
        type=number_of("seconds", most=3600),
        default=SIGN_IN_SECONDS,
        metavar="N",
        help=f"how long to wait for the person (default {SIGN_IN_SECONDS})",
    )


COMMAND = Command(
    name="smoke",
    summary="test a server at an address, up to the sign-in page or through it",
    description=(
        "Health, metadata, the 401 challenge, registration, consent and the redirect to Entra ID with the right "
        "parameters; then what must be refused. Needs no rights in Azure. Leaves one registered client behind. With "
        "--sign-in, a person signs in with the browser and every sample tool is called."
    ),
    takes=(BASE_URL, CLIENT_ID),
    add_arguments=_add_arguments,
    examples="examples:\n  python -m ops smoke http://localhost:7071\n  python -m ops smoke --sign-in",
    run=run,
)
