"""The parts that tests of several folders share: one Azurite for most, a pair of stand-ins for each test worker."""

from __future__ import annotations

import atexit
import gc
import os
import shutil
import signal
import tempfile
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from xdist.scheduler import LoadScopeScheduling

from local.loopback.tls import ensure_tls
from local.progress import CommandError
from local.tasks import FAST

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xdist.remote import Producer
    from xdist.workermanage import WorkerController

    from tests.support.azurite import Azurite
    from tests.support.stack import Stack
    from tests.support.standins import StandIns

FOLDER = Path(__file__).parent

LONGEST_FIRST = (
    *(f"engine/{name}" for name in ("clients", "browser", "functions", "azurite", "fuzz", "flows", "insights")),
    *("local", "ops", "app", "engine/unit", "engine/conformance", "bench", "infra", "template"),
)
"""Every folder of tests, by the length of its tests."""

TOGETHER = {
    "engine/clients": "stack",
    "engine/browser": "stack",
    "engine/insights": "insights",
    "engine/flows/web": "web",
}
"""Folders whose files share what takes long to start: one worker runs all of them."""

CERTIFICATES = pytest.StashKey[Path]()
AZURITE = pytest.StashKey["Azurite"]()


def pytest_configure(config: pytest.Config) -> None:
    """Trusts a local certificate authority in this process, and keeps a machine's proxy out of calls to itself.

    No public one, which no test needs: hundreds of clients and processes would read all of them.

    aiohttp reads the certificates when it is imported, hence the import right here. They are there for as long as the
    process is, whatever ends it: what sends something at its exit has registered later, and is called earlier.
    """
    folder = config.stash[CERTIFICATES] = Path(tempfile.mkdtemp(prefix="entra-mcp-tls-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    authority = str(ensure_tls(folder).ca)
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "localhost,127.0.0.1,::1"
    os.environ["SSL_CERT_FILE"] = os.environ["REQUESTS_CA_BUNDLE"] = authority
    import_module("aiohttp")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: WorkerController) -> None:
    """Launches the Azurite of all test workers with the first of them, and ends it with the run.

    Not for the tests alone that start no process. Where it is not installed, the tests that need it say so.
    """
    from tests.support.azurite import Azurite

    config = node.config
    if all(path.startswith(FAST) for path in config.args):
        return
    if AZURITE not in config.stash:
        place = Path(tempfile.mkdtemp(prefix="entra-mcp-azurite-"))
        config.add_cleanup(lambda: shutil.rmtree(place, ignore_errors=True))
        azurite = Azurite(place / "data", in_memory=True)
        try:
            azurite.launch()
        except CommandError:
            return
        config.add_cleanup(azurite.stop)
        config.stash[AZURITE] = azurite
    cast("Any", node).workerinput["azurite"] = config.stash[AZURITE].share()


def pytest_collectstart() -> None:
    """Looks for no garbage among what is collected: modules and tests stay until the end."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Looks for garbage again, and never among what was collected."""
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the folders with the longest tests first, so that no worker has one left when the others are done."""
    places = {path: place(path.relative_to(FOLDER).as_posix()) for path in {item.path for item in items}}
    items.sort(key=lambda item: places[item.path])


def place(file: str) -> int:
    """Where a file comes in the order of the folders."""
    return next(number for number, folder in enumerate(LONGEST_FIRST) if file.startswith(f"{folder}/"))


class Spread(LoadScopeScheduling):
    """Gives each worker a file at a time, or all the files that run together."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return TOGETHER.get(file.removeprefix("tests/").rpartition("/")[0], file)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling | None:
    return Spread(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.fixture(autouse=True)
def restored_signal_handlers() -> Iterator[None]:
    """Puts the signal handlers back: uvicorn servers that overlap in one process, as the callback servers of several
    clients do, leave the handler of a server that is long gone, which then ends every event stream of the process.
    """
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def certificates(pytestconfig: pytest.Config) -> Path:
    """Folder of the certificates that this process trusts."""
    return pytestconfig.stash[CERTIFICATES]


@pytest.fixture(scope="session")
def azurite_process(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    """The Azurite of this run, with accounts for this process alone. Tests that stop it take their own."""
    from tests.support.azurite import Azurite, running_azurite

    if given := getattr(pytestconfig, "workerinput", {}).get("azurite"):
        yield Azurite.shared(given)
        return
    with running_azurite(tmp_path_factory.mktemp("azurite") / "data", in_memory=True) as azurite:
        yield azurite


@pytest.fixture(scope="session")
def azurite(azurite_process: Azurite) -> str:
    """Connection string of this process's account in Azurite."""
    return azurite_process.connection_string


@pytest.fixture
def own_account(azurite_process: Azurite) -> str:
    """Connection string of an account for one test alone, whose queues no other host reads."""
    return azurite_process.another_account()


@pytest.fixture(scope="session")
def standins(tmp_path_factory: pytest.TempPathFactory, certificates: Path) -> Iterator[StandIns]:
    """Stand-ins for Entra ID and Key Vault. Tests that stop them, or change what they know, take their own."""
    from tests.support.standins import StandIns

    with StandIns(folder=tmp_path_factory.mktemp("standins"), tls=certificates) as standins:
        yield standins


@pytest.fixture
def own_standins(tmp_path: Path, certificates: Path) -> Iterator[StandIns]:
    """Stand-ins for one test, which may stop them or change what they know."""
    from tests.support.standins import StandIns

    with StandIns(folder=tmp_path / "standins", tls=certificates) as standins:
        yield standins


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, certificates: Path) -> Iterator[Stack]:
    """Everything as processes, the Functions host with the real app included. Tests that restart it take their own."""
    from tests.support.stack import Stack

    with Stack(tmp_path_factory.mktemp("stack"), certificates=certificates) as stack:
        yield stack
