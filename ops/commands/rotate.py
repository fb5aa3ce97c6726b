"""`python -m ops rotate`: a new client secret, or a new signing key, without a failed request."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from ops import environment as inputs
from ops.client_secret import ClientSecret
from ops.command import Command, Context, number_of
from ops.doctor.facts import auth_mode_of, deployed_settings
from ops.errors import ApiError, OpsError, UnreachableError, UsageError
from ops.signing_key import MARGIN_DAYS, MAX_VERSIONS, TOKEN_LIFETIME_DAYS, OldKey, add_version, expiry_of, old_keys
from ops.vault import SIGNING_KEY, VaultResource, Version

if TYPE_CHECKING:
    import argparse

LIFETIME_SETTINGS = ("MCP_REFRESH_TOKEN_DAYS", "MCP_REGISTRATION_DAYS", "MCP_SESSION_DAYS")
"""Settings of the app that say how long what a key signed or sealed is of use."""

MAX_DAYS = 3650
"""The most that the app takes for one of them."""

SECRET = "client-secret"  # noqa: S105 - what is rotated
KEY = "signing-key"


def run(context: Context) -> int:
    """Rotates what was asked for."""
    options = context.options
    if options.what is None and not options.disable_old:
        raise UsageError(f"Say what to rotate: {SECRET} or {KEY}.")
    vault = VaultResource(context.services.arm, vault_id=context.environment[inputs.VAULT_ID])
    if options.what == SECRET:
        if options.disable_old:
            raise UsageError("--disable-old is for the signing key; older client secrets are removed by themselves.")
        _rotate_client_secret(context, vault)
        return 0
    context.report.heading(f"{SIGNING_KEY} in {vault.name}")
    if options.disable_old:
        _disable_old(context, vault)
    else:
        _rotate_signing_key(context, vault)
    return 0


def _rotate_client_secret(context: Context, vault: VaultResource) -> None:
    if (mode := auth_mode_of(context)) != inputs.DEFAULT_AUTH_MODE:
        raise UsageError(f"With AUTH_MODE={mode} there is no client secret.")
    context.report.heading(f"Client secret in {vault.name}")
    ClientSecret(context, vault).ensure(force=True)
    context.report.text("Servers take it up within five minutes, or at once when Entra ID refuses the old one.")


def _rotate_signing_key(context: Context, vault: VaultResource) -> None:
    kept_for = _kept_for(context)
    before = vault.find(SIGNING_KEY)
    versions = _versions(context, before) if before is not None else []
    if before is not None and versions is not None:
        _refuse_too_many(old_keys(versions, newest_id=before.id, keep=kept_for))
    expires = expiry_of(context.environment, now=context.now())
    added = add_version(vault, expires=expires)
    context.report.ok("added", f"version {added.id}; servers know it within four minutes, and sign with it after five")
    if expires is not None:
        context.report.note("expiry", f"{expires:%Y-%m-%d}; for a later one set VAULT_EXPIRY_DATE, then rotate again")
    if before is None:
        return
    # Again: a request that was repeated, or somebody else, may have added more than one.
    if versions is not None and (now := _versions(context, added)) is not None:
        _list(context, old_keys(now, newest_id=added.id, keep=kept_for))
    else:
        day = added.created + kept_for
        context.report.note("older version", f"{before.id} may be disabled from {day:%Y-%m-%d}")


def _versions(context: Context, newest: Version) -> list[Version] | None:
    """Every version, or None when this account may not list them."""
    try:
        return context.services.vault_of(newest).versions(SIGNING_KEY)
    except (ApiError, UnreachableError) as error:
        context.report.note("older versions", f"cannot be listed. {error}")
        return None


def _refuse_too_many(keys: list[OldKey]) -> None:
    """Another version would make the servers drop the oldest, whose tokens may still be in use."""
    if len(keys) + 1 >= MAX_VERSIONS:
        day = min(key.disable_from for key in keys)
        raise OpsError(
            f"{SIGNING_KEY} has {MAX_VERSIONS} enabled versions, and servers read no more than that. The first of them "
            f"may be disabled from {day:%Y-%m-%d}: `python -m ops rotate signing-key --disable-old`. When a key has to "
            "go at once, disable it by hand; who holds a token that it signed signs in again."
        )


def _disable_old(context: Context, vault: VaultResource) -> None:
    """Disables the versions whose day has come, by the vault's own clock."""
    newest = vault.find(SIGNING_KEY)
    if newest is None:
        context.report.ok("nothing to do", "the vault has no signing key")
        return
    itself = context.services.vault_of(newest)
    keys = old_keys(itself.versions(SIGNING_KEY), newest_id=newest.id, keep=_kept_for(context))
    now = itself.now(SIGNING_KEY)
    due = [key for key in keys if key.disable_from <= now]
    for key in due:
        itself.disable(SIGNING_KEY, key.version)
        context.report.ok("disabled", f"version {key.version.id}, out of use since {key.superseded:%Y-%m-%d}")
    _list(context, [key for key in keys if key not in due])
    if not keys:
        context.report.ok("nothing to do", "the newest version is the only enabled one")


def _kept_for(context: Context) -> timedelta:
    """How long a key is needed after it ceased to sign: the longest that the app or the option says."""
    days = [context.options.token_lifetime_days]
    if context.environment.has(inputs.FUNCTION_APP):
        settings = deployed_settings(context)
        days += [_days_of(value) for name in LIFETIME_SETTINGS if (value := settings.get(name, "").strip())]
    else:
        context.report.note(
            "lifetime",
            f"counted with {days[0]} days; AZURE_FUNCTION_APP_NAME is not set, so the app's own settings are not known",
        )
    return timedelta(days=max(days) + MARGIN_DAYS)


def _days_of(value: str) -> int:
    # The app may read what this does not, such as a reference to a secret or `365.0`: every doubt counts towards later.
    return int(value) if value.isdecimal() else MAX_DAYS


def _list(context: Context, keys: list[OldKey]) -> None:
    for key in keys:
        context.report.note("older version", f"{key.version.id} may be disabled from {key.disable_from:%Y-%m-%d}")
    if keys:
        context.report.text("On that day: python -m ops rotate signing-key --disable-old")


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", nargs="?", choices=(SECRET, KEY), help="what to rotate")
    parser.add_argument(
        "--disable-old", action="store_true", help="disable the signing keys whose day has come, and add none"
    )
    parser.add_argument(
        "--token-lifetime-days",
        type=number_of("days", most=MAX_DAYS),
        default=TOKEN_LIFETIME_DAYS,
        metavar="N",
        help=f"lifetime of refresh tokens at least (default {TOKEN_LIFETIME_DAYS}; the app's own settings count where "
        f"they say longer); {MARGIN_DAYS} days are added to it",
    )


COMMAND = Command(
    name="rotate",
    summary="renew the client secret or the signing key",
    description=(
        "client-secret: creates a new one, puts it into the vault once Entra ID accepts it, and keeps the one before "
        "it at the registration. signing-key: adds a version, and shows from which day each older one may be disabled; "
        "--disable-old disables those whose day has come."
    ),
    needs=(inputs.TENANT, inputs.VAULT_ID),
    takes=(
        inputs.SUBSCRIPTION,
        inputs.RESOURCE_GROUP,
        inputs.FUNCTION_APP,
        inputs.CLIENT_ID,
        inputs.APP_OBJECT_ID,
        inputs.AUTH_MODE,
        inputs.SECRET_DAYS,
        inputs.EXPIRY_DATE,
        inputs.ENTRA_TENANT,
        inputs.VAULT_URL,
        *inputs.ENDPOINTS,
    ),
    add_arguments=_add_arguments,
    examples=(
        "examples:\n  python -m ops rotate client-secret\n  python -m ops rotate signing-key\n"
        "  python -m ops rotate signing-key --disable-old"
    ),
    run=run,
)
