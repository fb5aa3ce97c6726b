"""The client secret: made at the registration, kept in the vault, renewed before it expires, seen by nobody.

Only metadata is read. The version in the vault names its key id, and that of the one before, in its tags. So the next
run continues one that was killed anywhere. It removes a secret that never reached the vault. It keeps one that did, and
the one before it, which running servers may still hold. Nobody else's secrets are touched: this deployment's carry the
vault's name.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING

import httpx2

from ops.aadsts import codes_in
from ops.environment import APP_OBJECT_ID, AUTH_MODE, CLIENT_ID, DEFAULT_AUTH_MODE, SECRET_DAYS, Environment
from ops.errors import ApiError, BadInputError, OpsError
from ops.graph import REPLICATION_WAITS, Application, NewPassword, Password
from ops.refusals import REFUSALS
from ops.vault import CLIENT_SECRET, PLACEHOLDER, VaultResource, Version

if TYPE_CHECKING:
    from pydantic import SecretStr

    from ops.command import Context

LIFETIMES = (180, 90, 60, 30, 14, 7, 3, 1)
"""Days, the longest first: the next is tried when a policy of the tenant refuses what was asked for."""

MAX_DAYS = 730

RENEW_BEFORE = timedelta(days=30)
TOO_LONG = "CredentialInvalidLifetimeAsPerAppPolicy"
FORBIDDEN_KIND = "CredentialTypeNotAllowedAsPerAppPolicy"

KEY_ID = "entra-key-id"
PREVIOUS_KEY_ID = "entra-previous-key-id"

RECENT = timedelta(minutes=15)
"""Reading a registration may lag behind a change of it, not for longer than this."""

NOT_KNOWN_YET = frozenset({7000215, 700016, 7000229, 90033})
"""Wrong secret, no such application, no service principal, passing fault: what a replica says that lags behind."""

ACCEPTANCE_WAITS = (1.0, 2.0, 4.0, 8.0, 15.0, 15.0, 15.0, 15.0, 15.0, 15.0)
"""Seconds between attempts to use a new secret."""

ROUNDS = 3

REFUSED = frozenset({HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND})
"""What Graph answers to an account that may not change a registration, or not see it."""

NO_REGISTRATION = "00000000-0000-0000-0000-000000000000"
"""Stands for a registration that is still to be made by somebody else (docs/deploy.md)."""


class ClientSecret:
    """Brings vault and registration to where they should be, from wherever they are."""

    def __init__(self, context: Context, vault: VaultResource) -> None:
        self._environment = context.environment
        self._services = context.services
        self._directory = context.services.directory
        self._vault = vault
        self._report = context.report
        self._now = context.now

    def ensure(self, *, force: bool = False) -> None:
        """Leaves a good secret in the vault, at most one older generation at the registration, and nothing else.

        Only a registration of the infrastructure's own has an object id among azd's values. Somebody else may keep any
        other one, which every member of the directory can read and few may change; a secret that a person put into the
        vault is then left alone. With `force` the secret is renewed even if it is good.

        Raises:
            OpsError: the registration may not be changed and the vault has no good secret, or the tenant allows none.
            ApiError: the registration or the vault refuses.
        """
        client_id, object_id = self._environment[CLIENT_ID], self._environment.get(APP_OBJECT_ID)
        if client_id == NO_REGISTRATION:
            self._report.note(
                CLIENT_SECRET,
                "there is no registration yet: whoever creates it needs to know what this prints:\n"
                "azd env get-value ENTRA_HAND_OFF",
            )
            return
        days = days_of(self._environment)
        for _ in range(ROUNDS):
            kept = self._vault.find(CLIENT_SECRET)
            if not (object_id or force) and usable(kept, self._now()) and not _tag(kept, KEY_ID):
                self._report.note(CLIENT_SECRET, "was put into the vault by hand, and is left to whoever did")
                return
            good = None
            try:
                own = object_id or self._directory.application_of(client_id).object_id
                application = self._application(own, kept)
                held = application.password(_tag(kept, KEY_ID)) if kept is not None and kept.enabled else None
                if held is not None and not force and self._now() < renewal_of(held) and usable(kept, self._now()):
                    good = held
                self._tidy(application, kept)
                if good is None:
                    self._renew(application, held, days=days)
            except ApiError as error:
                refused = error.service == self._directory.api.service and error.status in REFUSED
                if object_id or not refused:
                    raise
                if good is None:
                    raise OpsError(
                        f"This account may not change the registration {client_id}, or does not see it. Ask whoever "
                        "keeps it for a client secret, and put it into the vault, for which you need the role Key "
                        "Vault Secrets Officer there (a file keeps it out of the shell's history): "
                        f"az keyvault secret set --vault-name {self._vault.name} --name {CLIENT_SECRET} --file <file>. "
                        "Or become an owner of the registration, and run the command again."
                    ) from error
            if good is not None:
                self._report.ok(
                    CLIENT_SECRET, f"good until {good.ends:%Y-%m-%d}; renewed from {renewal_of(good):%Y-%m-%d}"
                )
                return
            # The next round looks at what came of it: somebody else's run may have been quicker.
            force = False
        raise OpsError(
            "The client secret was renewed, but the registration does not list it. Is the command running somewhere "
            "else too? Run it again when that one has ended."
        )

    def _application(self, object_id: str, kept: Version | None) -> Application:
        """The registration, read again while it may lag behind the secret that the vault has since a moment ago."""
        recent = kept is not None and self._now() - kept.created <= RECENT
        key_id = _tag(kept, KEY_ID) if recent else ""
        return self._services.patience.until(
            lambda: self._directory.application(object_id),
            lambda found: not key_id or found.password(key_id),
            waits=REPLICATION_WAITS[:5],
            why="the registration does not list the client secret yet",
        )

    def _renew(self, application: Application, held: Password | None, *, days: int) -> None:
        made = self._make(application, longest=days)
        self._wait_until_accepted(application.client_id, made.value)
        tags = {KEY_ID: made.key_id}
        if held is not None and held.ends > self._now():
            tags[PREVIOUS_KEY_ID] = held.key_id
        try:
            self._vault.put(
                CLIENT_SECRET, made.value, content_type="client secret of Entra ID", tags=tags, expires=made.ends
            )
        except ApiError as error:
            self._take_back(application, made, error)
            raise
        self._report.ok(CLIENT_SECRET, f"new version in {self._vault.name}, good until {made.ends:%Y-%m-%d}")

    def _wait_until_accepted(self, client_id: str, secret: SecretStr) -> None:
        """Returns when Entra ID accepts the secret: a server that took it from the vault earlier would fail sign-ins.

        Raises:
            OpsError: it does not within two minutes.
        """
        accepted = self._services.patience.until(
            lambda: self._is_accepted(client_id, secret),
            bool,
            waits=ACCEPTANCE_WAITS,
            why="Entra ID does not know the new client secret everywhere yet",
        )
        if not accepted:
            raise OpsError(
                "Entra ID made a client secret, but does not accept it yet. Nothing in the vault was changed; run the "
                "command again in a few minutes, which removes the unused one."
            )

    def _is_accepted(self, client_id: str, secret: SecretStr) -> bool:
        """Asks for a token, which is not looked at."""
        services = self._services
        url = f"https://{services.cloud.authority}/{services.registration_tenant}/oauth2/v2.0/token"
        form = {
            "grant_type": "client_credentials",
            "client_id": client_id,
            "client_secret": secret.get_secret_value(),
            "scope": services.cloud.graph_scope,
        }
        try:
            response = services.http.post(url, data=form)
        except httpx2.TransportError:
            return False
        if response.is_server_error or response.status_code == HTTPStatus.TOO_MANY_REQUESTS:
            return False
        # Any other refusal, by a policy for applications for instance, comes after the secret was found right.
        return not NOT_KNOWN_YET.intersection(codes_in(response.text))

    def _take_back(self, application: Application, made: NewPassword, refused: ApiError) -> None:
        """Removes what the vault refused, unless an earlier attempt, whose answer was lost, stored it."""
        if refused.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return
        try:
            if _tag(self._vault.find(CLIENT_SECRET), KEY_ID) != made.key_id:
                self._directory.remove_password(application, made.key_id)
                self._report.ok(CLIENT_SECRET, "the new one, which the vault refused, is removed from the registration")
        except ApiError as error:
            self._report.note(CLIENT_SECRET, f"the new one, which the vault refused, is left to the next run. {error}")

    def _make(self, application: Application, *, longest: int) -> NewPassword:
        for days in (longest, *(shorter for shorter in LIFETIMES if shorter < longest)):
            try:
                now = self._now()
                return self._directory.add_password(
                    application, name=own_name(self._vault.name), ends=now + timedelta(days=days), now=now
                )
            except ApiError as error:
                if error.code == FORBIDDEN_KIND:
                    raise OpsError(f"{error.text}\n{REFUSALS[FORBIDDEN_KIND]}") from error
                if error.code != TOO_LONG:
                    raise
                self._report.step(f"a policy of the tenant refuses {days} days")
        raise OpsError(f"A policy of the tenant refuses even one day.\n{REFUSALS[TOO_LONG]}")

    def _tidy(self, application: Application, kept: Version | None) -> None:
        """Removes this deployment's secrets but the one in the vault and the one before it."""
        keep = {_tag(kept, KEY_ID), _tag(kept, PREVIOUS_KEY_ID)}
        for password in application.passwords:
            if password.name != own_name(self._vault.name) or password.key_id in keep:
                continue
            if self._directory.remove_password(application, password.key_id):
                self._report.ok("older client secret", f"removed, made {password.starts:%Y-%m-%d}")


def wants_client_secret(environment: Environment) -> bool:
    """Whether a deployment of this environment signs people in with one."""
    return environment.get(AUTH_MODE, DEFAULT_AUTH_MODE) == DEFAULT_AUTH_MODE


def days_of(environment: Environment) -> int:
    """How long a new client secret is to be good.

    Raises:
        BadInputError: it is no number of days that Entra ID takes.
    """
    text = environment.get(SECRET_DAYS, str(LIFETIMES[0]))
    if not text.isdecimal() or not 1 <= int(text) <= MAX_DAYS:
        raise BadInputError(SECRET_DAYS.name, f"has to be a number of days from 1 to {MAX_DAYS}")
    return int(text)


def own_name(vault: str) -> str:
    """What a client secret of this deployment is called; several deployments may share a registration."""
    return f"entra-mcp in {vault}"


def renewal_of(password: Password) -> datetime:
    """When to renew: 30 days before the end, or a third of its life where a policy keeps lives short."""
    return password.ends - min(RENEW_BEFORE, (password.ends - password.starts) / 3)


def _tag(version: Version | None, name: str) -> str:
    return version.tags.get(name, "") if version is not None else ""


def usable(kept: Version | None, now: datetime) -> bool:
    """Whether the vault gives servers a secret, by what the vault itself says of it."""
    if kept is None or not kept.enabled or kept.content_type == PLACEHOLDER:
        return False
    return kept.expires is None or kept.expires > now
