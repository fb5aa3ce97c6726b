"""A clean environment for tests that read settings."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.support.settings import working_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from entra_mcp.settings import Settings


@pytest.fixture
def load_settings(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Settings]:
    """Loads settings from a working environment with some variables changed, or removed when None."""
    return partial(working_settings, monkeypatch)
