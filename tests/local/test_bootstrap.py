"""The files of the first start: made once, whole, and readable by their owner only."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from local.bootstrap import prepare
from local.config import REPOSITORY, LocalConfig

if TYPE_CHECKING:
    from pathlib import Path

PREPARE = """
import sys
from pathlib import Path
from local.bootstrap import prepare
from local.config import LocalConfig
config = LocalConfig(home=Path(sys.argv[1]))
prepare(config)
print(config.client_secret_file.read_text())
"""


def test_client_secret_is_made_once_and_kept(tmp_path: Path) -> None:
    config = LocalConfig(home=tmp_path / "home")
    prepare(config)
    secret = config.client_secret_file.read_text()
    assert len(secret) == 40
    assert secret.strip() == secret
    prepare(config)
    assert config.client_secret_file.read_text() == secret
    assert config.ca_bundle.is_file()


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
def test_client_secret_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    config = LocalConfig(home=tmp_path / "home")
    before = os.umask(0)
    try:
        prepare(config)
    finally:
        os.umask(before)
    assert stat.S_IMODE(config.client_secret_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(config.client_secret_file.parent.stat().st_mode) == 0o700


def test_processes_that_prepare_at_once_agree_on_the_secret(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PREPARE, str(tmp_path / "home")]
    together = [subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    secrets = {process.communicate(timeout=60)[0] for process in together}
    assert [process.returncode for process in together] == [0] * 4
    assert len(secrets) == 1


def test_secret_that_was_only_half_written_is_made_again(tmp_path: Path) -> None:
    config = LocalConfig(home=tmp_path / "home")
    config.client_secret_file.parent.mkdir(parents=True)
    config.client_secret_file.with_name("client-secret.new").write_text("half")
    prepare(config)
    assert len(config.client_secret_file.read_text()) == 40
    assert not config.client_secret_file.with_name("client-secret.new").exists()
