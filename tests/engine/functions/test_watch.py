"""Changes of the app's files are seen, wherever the app is and whatever becomes of its folders."""

from __future__ import annotations

import asyncio
import shutil
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from local.host import watch as watching
from local.host.watch import watch
from tests.engine.functions.harness import MCP_APP, running_host
from tests.support.processes import eventually, wait_until_gone

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

SEEN_SECONDS = 10.0
QUIET_SECONDS = 1.0


class Changes:
    def __init__(self) -> None:
        self.seen = asyncio.Event()

    async def come(self) -> bool:
        try:
            await asyncio.wait_for(self.seen.wait(), SEEN_SECONDS)
        except TimeoutError:
            return False
        await self.settle()
        return True

    async def settle(self) -> None:
        """Until nothing has been seen for a while."""
        while True:
            self.seen.clear()
            try:
                await asyncio.wait_for(self.seen.wait(), QUIET_SECONDS)
            except TimeoutError:
                return


@asynccontextmanager
async def watched(folder: Path, *, also: Path | None = None) -> AsyncGenerator[Changes]:
    changes = Changes()
    task = asyncio.create_task(watch(folder, changes.seen.set, also=also))
    await changes.settle()
    try:
        yield changes
    finally:
        task.cancel()
        await asyncio.wait((task,))
        assert task.cancelled()


@pytest.mark.parametrize("name", [".local", ".venv", ".git", "node_modules", "plain"])
async def test_checkout_is_watched_below_a_folder_of_any_name(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name / "checkout"
    (folder / "src" / "inner").mkdir(parents=True)

    async with watched(folder) as changes:
        (folder / "top.py").write_text("1")
        assert await changes.come()
        (folder / "src" / "inner" / "deep.py").write_text("1")
        assert await changes.come()


async def test_replaced_new_and_removed_folders_are_seen(tmp_path: Path) -> None:
    folder = tmp_path / "checkout"
    tree = folder / "src"
    tree.mkdir(parents=True)
    (tree / "a.py").write_text("1")

    async with watched(folder) as changes:
        shutil.rmtree(tree)
        assert await changes.come()

        other = tmp_path / "other"
        other.mkdir()
        other.rename(tree)
        (tree / "b.py").write_text("1")
        assert await changes.come()

        (folder / "new").mkdir()
        (folder / "new" / "c.py").write_text("1")
        assert await changes.come()


@pytest.mark.parametrize("name", [".venv/a.py", "src/__pycache__/a.py", "src/notes.txt", "notes.md"])
async def test_what_is_no_part_of_the_app_is_not_seen(tmp_path: Path, name: str) -> None:
    file = tmp_path / "checkout" / name
    (tmp_path / "checkout" / "src").mkdir(parents=True)
    file.parent.mkdir(parents=True, exist_ok=True)

    async with watched(tmp_path / "checkout") as changes:
        file.write_text("1")
        await asyncio.sleep(QUIET_SECONDS)
        assert not changes.seen.is_set()


async def test_file_elsewhere_is_seen_when_it_comes_changes_and_goes(tmp_path: Path) -> None:
    (tmp_path / "checkout").mkdir()
    file = tmp_path / "settings"

    async with watched(tmp_path / "checkout", also=file) as changes:
        file.write_text("1")
        assert await changes.come()
        file.write_text("2")
        assert await changes.come()
        file.unlink()
        assert await changes.come()


async def test_links_that_lead_back_or_nowhere_are_passed_over(tmp_path: Path) -> None:
    folder = tmp_path / "checkout"
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "round").symlink_to(folder, target_is_directory=True)
    (folder / "src" / "self.py").symlink_to(folder / "src" / "self.py")
    (folder / "src" / ".#lock.py").symlink_to("nowhere")
    (tmp_path / "shared").mkdir()
    (folder / "shared").symlink_to(tmp_path / "shared", target_is_directory=True)

    async with watched(folder) as changes:
        (tmp_path / "shared" / "a.py").write_text("1")
        assert await changes.come()


async def test_watch_that_failed_is_resumed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "checkout"
    folder.mkdir()

    async with watched(folder) as changes:
        folder.rename(tmp_path / "away")
        assert await asyncio.to_thread(eventually, lambda: "trying again" in caplog.text)
        (tmp_path / "away").rename(folder)
        (folder / "b.py").write_text("1")
        assert await changes.come()


async def test_watch_that_fails_again_and_again_ends_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "PAUSE_SECONDS", 0.01)

    with pytest.raises(FileNotFoundError):
        await asyncio.wait_for(watch(tmp_path / "missing", lambda: None), SEEN_SECONDS)


def test_host_that_can_watch_no_longer_ends_with_1(tmp_path: Path) -> None:
    app = tmp_path / "app"
    app.mkdir()
    (app / "host.json").write_text('{"version": "2.0"}')

    with running_host(app, "--watch", log=tmp_path / "log") as host:
        pid = host.program.pid
        assert pid
        app.rename(tmp_path / "away")

        assert wait_until_gone(pid)
        assert "trying again" in host.log.read_text()
        assert host.stop() == 1


@pytest.mark.long
def test_stream_without_end_does_not_keep_a_restart_waiting(tmp_path: Path) -> None:
    app = tmp_path / "app"
    shutil.copytree(MCP_APP, app, ignore=shutil.ignore_patterns("__pycache__", ".local"))
    entry = app / "function_app.py"
    text = entry.read_text().replace("Path(__file__).parents[5]", f"Path({str(MCP_APP.parents[4])!r})")
    entry.write_text(text)

    with (
        running_host(app, "--watch", log=tmp_path / "log") as host,
        socket.create_connection(("127.0.0.1", host.port)) as stream,
    ):
        first = host.diagnostics()["pid"]
        stream.sendall(b"GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert stream.recv(10)
        entry.write_text(text + "\n")
        assert eventually(lambda: host.get("/admin/host/status").status_code == 503)
        assert eventually(lambda: host.diagnostics()["pid"] != first)
