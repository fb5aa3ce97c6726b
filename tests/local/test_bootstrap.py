"""The files of the first start: made once, whole, and readable by their owner only."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from local.bootstrap import prepare
from local.config import LocalConfig

if TYPE_CHECKING:
    from pathlib import Path


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


def test_secret_appears_whole_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    config = LocalConfig(home=tmp_path / "home")
    prepare(config)
    assert [file.name for file in config.client_secret_file.parent.iterdir()] == ["client-secret"]
