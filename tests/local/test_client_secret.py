"""The client secret: created once, whole, and readable by its owner only."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from local.client_secret import ensure_client_secret

if TYPE_CHECKING:
    from pathlib import Path


def test_client_secret_is_created_once_and_kept_with_nothing_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "entra" / "client-secret"
    ensure_client_secret(file)
    secret = file.read_text()
    assert len(secret) == 40
    assert secret.strip() == secret
    ensure_client_secret(file)
    assert file.read_text() == secret
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
def test_client_secret_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "entra" / "client-secret"
    before = os.umask(0)
    try:
        ensure_client_secret(file)
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
