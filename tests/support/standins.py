"""Run the Entra ID and Key Vault stand-ins as processes of their own, on free ports and in a folder of their own.

Key Vault's starts when something first asks for it.

    with StandIns(folder=tmp_path, tls=certificates, redirect_uris=["http://localhost:7071/auth/callback"]) as standins:
        standins.environment()          # settings for an app or a child process
        standins.entra.kill(); standins.entra.start()     # same address, same state

`start`, `stop` and `kill` block for at most a few hundred milliseconds; `async with` runs them in a thread.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import secrets
import ssl
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import httpx2

from local.config import CLIENT_ID, IDENTITY_CLIENT_ID, IDENTITY_HEADER, TENANT_ID
from local.loopback.tls import ensure_tls
from tests.support.forms import Forms
from tests.support.programs import ForkedProgram, ProcessFailedError, Program

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

DIRECTORY = Path(__file__).parent / "local.directory.json"
SETTINGS = Path(__file__).parent / "local.settings.sample.json"
"""As the template has them: a fork changes its own."""
"""Accounts, groups and APIs that the tests know; a fork's own file changes nothing for them."""

PERSON = ("Allow", "Local User")
"""What a person clicks: `Allow` on the consent page, then an account on the sign-in page."""

REDIRECT_URI = "http://localhost:7071/auth/callback"


class StandIn:
    """A program that keeps its ports and its state over restarts."""

    def __init__(self, program: Program, *, options: Sequence[str], ports: Sequence[str]) -> None:
        self._program = program
        self._options = options
        self._ports = dict.fromkeys(ports, 0)
        self.addresses: dict[str, str] = {}

    def start(self) -> Self:
        """Start, or start again on the same ports, and wait until it accepts requests."""
        ports = [word for flag, port in self._ports.items() for word in (flag, str(port))]
        self.addresses = self._program.start(*self._options, *ports)
        # The addresses come in the order of the port options, so each option gets its own port again.
        found = [urlsplit(address).port or 0 for address in self.addresses.values()]
        self._ports = dict(zip(self._ports, found, strict=True))
        return self

    def stop(self) -> int:
        """End it with SIGTERM; returns the exit code."""
        return self._program.stop()

    def kill(self) -> int:
        """End it with SIGKILL, as a crash would."""
        return self._program.kill()

    def restart(self) -> None:
        """Kill it and start it again on the same ports."""
        self.kill()
        self.start()


@dataclass(kw_only=True)
class StandIns:
    """Both stand-ins; use as a context manager, or with `async with`."""

    folder: Path
    tls: Path
    """Folder of the certificates."""
    redirect_uris: Sequence[str] = (REDIRECT_URI,)
    client_secret: str = field(default_factory=lambda: secrets.token_urlsafe(30))
    tenant_id: str = TENANT_ID
    client_id: str = CLIENT_ID
    directory: Path = DIRECTORY
    registration: Sequence[str] = ()
    """Further options of the Entra ID stand-in: what the settings of the server say of its registration."""
    program: type[Program] = ForkedProgram
    """What runs them."""
    entra: StandIn = field(init=False)

    def start(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.secret_file.write_text(self.client_secret)
        redirects = [word for uri in self.redirect_uris for word in ("--redirect-uri", uri)]
        self.entra = StandIn(
            self.program("local.entra", log=self.folder / "entra.log"),
            options=[
                *self._common,
                *("--state", str(self.folder / "entra"), "--directory", str(self.directory)),
                *self.registration,
                *redirects,
            ],
            ports=("--port", "--sign-in-port"),
        ).start()
        return self

    def stop(self) -> None:
        if "vault" in self.__dict__:
            self.vault.stop()
        self.entra.stop()

    @cached_property
    def vault(self) -> StandIn:
        return StandIn(
            self.program("local.vault", log=self.folder / "vault.log"),
            options=[*self._common, "--state", str(self.folder / "vault"), "--authority", self.authority],
            ports=("--port",),
        ).start()

    @property
    def _common(self) -> tuple[str, ...]:
        return "--tls", str(self.tls), "--client-secret-file", str(self.secret_file)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.start)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.stop)

    @property
    def secret_file(self) -> Path:
        return self.folder / "client-secret"

    @cached_property
    def bundle(self) -> Path:
        """Certificate of the local authority, for `verify=` and the like."""
        return ensure_tls(self.tls).ca

    @property
    def entra_url(self) -> str:
        return self.entra.addresses["entra"]

    @property
    def authority(self) -> str:
        """Host and port of the Entra stand-in, as `ENTRA_AUTHORITY` wants it."""
        return self.entra_url.removeprefix("https://")

    @property
    def issuer(self) -> str:
        return f"{self.entra_url}/{self.tenant_id}/v2.0"

    @property
    def sign_in_url(self) -> str:
        """Plain http address of the pages a browser opens."""
        return self.entra.addresses["sign_in"]

    @property
    def authorization_endpoint(self) -> str:
        return f"{self.sign_in_url}/{self.tenant_id}/oauth2/v2.0/authorize"

    @property
    def token_endpoint(self) -> str:
        return f"{self.entra_url}/{self.tenant_id}/oauth2/v2.0/token"

    @property
    def vault_url(self) -> str:
        return self.vault.addresses["vault"]

    @property
    def graph_url(self) -> str:
        return f"{self.entra_url}/graph"

    @property
    def orders_url(self) -> str:
        """The stand-in of the API `orders`."""
        return f"{self.entra_url}/apis/orders"

    @property
    def api_scope(self) -> str:
        return f"api://{self.client_id}/access_as_user"

    def environment(self) -> dict[str, str]:
        """Application settings that point at the stand-ins, the managed identity and the certificates included."""
        return {
            "ENTRA_TENANT_ID": self.tenant_id,
            "ENTRA_CLIENT_ID": self.client_id,
            "ENTRA_AUTHORITY": self.authority,
            "ENTRA_AUTHORIZATION_ENDPOINT": self.authorization_endpoint,
            "KEY_VAULT_URL": self.vault_url,
            "GRAPH_BASE_URL": self.graph_url,
            "ORDERS_API_URL": self.orders_url,
            "IDENTITY_ENDPOINT": f"{self.entra_url}/msi/token",
            "IDENTITY_HEADER": IDENTITY_HEADER,
            "AZURE_CLIENT_ID": IDENTITY_CLIENT_ID,
            "SSL_CERT_FILE": str(self.bundle),
            "REQUESTS_CA_BUNDLE": str(self.bundle),
        }

    @cached_property
    def _trust(self) -> ssl.SSLContext:
        """In the local authority."""
        return ssl.create_default_context(cafile=str(self.bundle))

    def http(self) -> httpx2.Client:
        """A client that trusts the local authority and follows no redirect; close it."""
        return httpx2.Client(base_url=self.entra_url, verify=self._trust, timeout=60, trust_env=False)

    def control(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401 - any JSON
        """Call the control API under /_local; returns its JSON answer, or None."""
        with self.http() as http:
            # httpx would refuse NaN, which a hostile issuer does not.
            sent, of_json = None if body is None else json.dumps(body), {"Content-Type": "application/json"}
            response = http.request(method, f"/_local{path}", content=sent, headers=of_json)
            response.raise_for_status()
            return response.json() if response.content else None

    def token(self, account: str = "user", **claims: Any) -> str:  # noqa: ANN401 - a claim may be any JSON
        """An access token for the app's API with some claims changed; None removes a claim."""
        return self.control("POST", "/tokens", {"account": account, "claims": claims})["access_token"]

    def assertion(self, account: str = "user", **members: Any) -> str:  # noqa: ANN401 - any JSON
        """An identity assertion for a client of the server; `claims` among the members changes or removes some."""
        return self.control("POST", "/assertions", {"account": account, **members})["assertion"]

    def sign_in(self, account: str = "user", **changes: str | None) -> dict[str, str]:
        """Sign an account in with a code request; returns the callback's parameters and the PKCE `code_verifier`."""
        verifier = secrets.token_urlsafe(48)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query: dict[str, str | None] = {
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uris[0],
            "response_type": "code",
            "scope": f"{self.api_scope} User.Read openid profile offline_access",
            "state": "a state",
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            **changes,
        }
        sent = {name: value for name, value in query.items() if value is not None}
        return {
            **choose(f"{self.authorization_endpoint}?{urlencode(sent)}", account=account),
            "code_verifier": verifier,
        }

    def sign_in_for_token(self, account: str = "user") -> str:
        """An access token for the app's API, through the whole code flow."""
        callback = self.sign_in(account)
        form = {
            "grant_type": "authorization_code",
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "code": callback["code"],
            "code_verifier": callback["code_verifier"],
            "redirect_uri": self.redirect_uris[0],
            "scope": self.api_scope,
        }
        with self.http() as http:
            return http.post(self.token_endpoint, data=form).raise_for_status().json()["access_token"]


def choose(authorize_url: str, **choice: str) -> dict[str, str]:
    """Open the sign-in page, press a button (`account=...` or `action=cancel`), return the callback's parameters."""
    return press(authorize_url, open_page(authorize_url), **choice)


def open_page(authorize_url: str) -> str:
    """The sign-in page."""
    with _browser() as browser:
        return browser.get(authorize_url).raise_for_status().text


def press(authorize_url: str, page: str, **choice: str) -> dict[str, str]:
    """Press a button of the sign-in page that was opened there; returns the callback's parameters."""
    with _browser() as browser:
        answer = browser.post(urljoin(authorize_url, form_action(page)), data=choice)
    if answer.status_code == 200 and (fields := Forms(answer.text).fields):
        return fields  # response_mode=form_post
    if answer.status_code != 302:
        raise ProcessFailedError(f"No redirect after {choice}: {answer.status_code} {answer.text}")
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}


def form_action(page: str) -> str:
    """Where the page's first form posts to."""
    return Forms(page).actions[0]


def _browser() -> httpx2.Client:
    no_trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # saves reading 150 certificates; the page is on plain http
    return httpx2.Client(timeout=60, trust_env=False, verify=no_trust)
