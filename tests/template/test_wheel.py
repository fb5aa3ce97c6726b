"""The engine as a distribution of its own: the sample app starts from it, without the engine's folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from local.config import REPOSITORY
from tests.engine.functions.test_deployed import app_environment

if TYPE_CHECKING:
    from tests.support.standins import StandIns

PROGRAM = """
import asyncio, json, sys

import entra_mcp
from app.server import server
from entra_mcp.app import running_app


async def main():
    async with running_app(server) as app:
        print(json.dumps({"engine": entra_mcp.__file__, "version": entra_mcp.__version__, "up": callable(app)}))


asyncio.run(main())
"""


def built(folder: Path) -> Path:
    """The wheel, built as a release is."""
    command = [str(Path(sys.executable).with_name("uv")), "build", "--wheel", "--out-dir", str(folder)]
    finished = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    (wheel,) = folder.glob("*.whl")
    return wheel


def test_app_starts_from_the_wheel_without_the_engine_s_folder(
    tmp_path: Path, azurite: str, standins: StandIns
) -> None:
    wheel = built(tmp_path / "dist")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(tmp_path / "packages")
    assert {name.partition("/")[0] for name in names} == {"entra_mcp", f"{wheel.name.split('-py3')[0]}.dist-info"}
    assert "entra_mcp/py.typed" in names
    shutil.copytree(REPOSITORY / "src" / "app", tmp_path / "src" / "app")

    started = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=tmp_path,
        env={
            **os.environ,
            **app_environment(azurite, standins),
            "PYTHONPATH": os.pathsep.join((str(tmp_path / "packages"), str(tmp_path / "src"))),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert started.returncode == 0, started.stderr
    found = json.loads(started.stdout.splitlines()[-1])
    assert found["up"]
    assert Path(found["engine"]).is_relative_to(tmp_path / "packages")
    assert found["version"] == wheel.name.split("-")[1]
