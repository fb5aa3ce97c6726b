"""The run: what every client does, first one by one, then after each thing that happens to the server."""

from __future__ import annotations

import asyncio
import copy
import re
import shutil
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from local.config import REPOSITORY
from tests.engine.compatibility.drivers import DRIVERS, HERE, MAX_ATTEMPTS, PROGRAMS, Driver
from tests.engine.compatibility.person import ALLOW, DENY, FOREIGN, Person, person
from tests.engine.compatibility.process import Home
from tests.engine.compatibility.record import version_of
from tests.engine.compatibility.seen import CONNECTS, SILENT, YES, of_calls, of_tasks, readable
from tests.engine.compatibility.server import TOKEN_MINUTES, Server

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from tests.engine.compatibility.drivers import Found

AT_ONCE = 6
"""So many clients run at a time: most of their time they start programs."""


@dataclass
class Client:
    """One client with its home, and what was seen of it."""

    driver: Driver
    server: Server
    person: Person
    folder: Path
    seen: dict[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        self.home = self.new_home("home")

    def new_home(self, name: str) -> Home:
        node = HERE / "node_modules"
        modules = {"PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'src'}:{PROGRAMS}"}
        return Home(
            folder=self.folder / name,
            person=self.person,
            programs=[node / ".bin"],
            variables={**modules, **self.driver.variables},
        )

    async def first(self) -> None:
        """Signs in, lists and calls."""
        found = await self.driver.sign_in(self.home, self.server.mcp_url, ALLOW)
        self.note_attempts("sign_in", found)
        self.seen["sign_in"] = YES if found.ok else readable(found.message)
        self.seen["redirect_uri"] = re.sub(r":\d+", ":*", ", ".join(found.redirect_uris))
        found = await self.driver.connect(self.home, self.server.mcp_url, (), "all")
        self.seen |= of_calls(found, calls=self.driver.calls)
        self.note_attempts("list", found)

    async def in_background(self) -> None:
        """Lets tools run as background tasks."""
        url = f"{self.server.background.url}/mcp"
        self.seen |= of_tasks(await self.driver.connect(self.new_home("background"), url, ALLOW, "background"))

    async def refused(self) -> None:
        """Is refused, each time as a client that was never here before."""
        for name, labels in (("denied", DENY), ("wrong_tenant", FOREIGN)):
            found = await self.driver.sign_in(self.new_home(name), self.server.mcp_url, labels)
            self.seen[name] = "comes in" if found.ok else readable(found.message)
            self.note_attempts(name, found)
        await self.throttled()

    def note_attempts(self, step: str, found: Found) -> None:
        """Keeps how often the client had to try; on a busy machine that is another number."""
        if found.attempts > 1:
            self.seen.setdefault("attempts", {})[step] = found.attempts

    async def throttled(self, attempt: int = 1) -> None:
        """Registers where nobody can any more."""
        home = self.new_home(f"throttled-{attempt}")
        async with self.server.no_registrations():
            found = await self.driver.sign_in(home, f"{self.server.throttled.url}/mcp", DENY)
        if found.redirect_uris and attempt < MAX_ATTEMPTS:  # a minute was over in that very moment
            await self.throttled(attempt + 1)
        else:
            self.seen["throttled"] = readable(found.message)
            self.note_attempts("throttled", replace(found, attempts=attempt))

    async def outage(self, name: str) -> None:
        """Connects while the server's storage is away."""
        found = await self.driver.connect(self.home, self.server.mcp_url, ())
        self.seen[name] = CONNECTS if found.ok else readable(found.message) or SILENT
        self.note_attempts(name, found)

    async def again(self, name: str) -> None:
        """Connects, and notes whether that needed the person."""
        found = await self.driver.connect(self.home, self.server.mcp_url, ALLOW)
        self.note_attempts(name, found)
        if found.ok:
            self.seen[name] = "signs in again by itself" if found.redirect_uris else "without a browser"
            return
        self.seen[f"{name}_message"] = readable(found.message)
        found = await self.driver.sign_in(self.home, self.server.mcp_url, ALLOW)
        if found.ok:
            self.seen[name] = f"after `{self.driver.signs_in_with or 'connecting once more'}`"
            return
        kept = self.home.folder / self.driver.keeps
        if kept.is_file():
            kept.unlink()
        elif self.driver.keeps:
            shutil.rmtree(kept, ignore_errors=True)
        found = await self.driver.sign_in(self.home, self.server.mcp_url, ALLOW)
        self.seen[name] = "after removing what it kept" if found.ok else f"not: {readable(found.message)}"


async def everything(folder: Path, names: Sequence[str], say: Callable[[str], None]) -> dict[str, dict[str, Any]]:
    """What was seen of each client, or of those with one of `names` in theirs."""
    chosen = [made() for made in DRIVERS if not names or any(each.lower() in made.name.lower() for each in names)]
    say("Starting the server")
    with Server(folder, certificates=folder / "tls") as server:
        async with person() as somebody:
            clients = [Client(driver, server, somebody, folder / str(number)) for number, driver in enumerate(chosen)]
            with server.other_hosts():
                await each(clients, Client.first, "signs in and calls", say)
                signed_in = time.monotonic()
                with_tasks = [client for client in clients if client.driver.has_tasks]
                await each(with_tasks, Client.in_background, "lets tools run in the background", say)
            await expiry(signed_in, say)
            await each(clients, lambda client: client.again("refresh"), "after its access token expired", say)
            refreshed = time.monotonic()
            async with server.storage_away():
                await each(clients, lambda client: client.outage("outage_call"), "while storage is away", say)
            with server.other_hosts():
                await each(clients, Client.refused, "is refused", say)
            await expiry(refreshed, say)
            async with server.storage_away():
                await each(clients, lambda client: client.outage("outage"), "has expired, and storage is away", say)
            await each(clients, lambda client: client.again("outage_refresh"), "after an expiry at an outage", say)
            await server.rotate_signing_key()
            await each(clients, lambda client: client.again("rotated_key"), "after the signing key was rotated", say)
            await server.lose_storage()
            await each(clients, lambda client: client.again("lost_storage"), "after storage was lost", say)
    return {client.driver.name: {"version": version_of(client.driver.package), **client.seen} for client in clients}


async def expiry(issued: float, say: Callable[[str], None]) -> None:
    """Waits until the access tokens issued by then have expired; `issued` is of `time.monotonic()`."""
    wait = max(0.0, issued + 60 * TOKEN_MINUTES - time.monotonic())
    say(f"Waiting {wait:.0f} s for the access tokens to expire")
    await asyncio.sleep(wait)


async def each(
    clients: Sequence[Client], step: Callable[[Client], Awaitable[None]], what: str, say: Callable[[str], None]
) -> None:
    """Takes the step with every client, some at a time."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(client: Client) -> None:
        async with places:
            began = time.monotonic()
            before = copy.deepcopy(client.seen)
            try:
                await step(client)
            except Exception as error:  # noqa: BLE001 - what one client does unexpectedly keeps no other from running
                client.seen["fault"] = readable(f"{what}: {type(error).__name__}: {error}")
            new = {name: value for name, value in client.seen.items() if before.get(name) != value}
            say(f"{client.driver.name}: {what} ({time.monotonic() - began:.0f} s): {new}")

    async with asyncio.TaskGroup() as tasks:
        for client in clients:
            tasks.create_task(one(client))
