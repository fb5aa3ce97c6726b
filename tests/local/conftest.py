"""What the tests of the stand-ins share."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.local.place import Place

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx2

    from tests.support.standins import StandIns


@pytest.fixture
def http(standins: StandIns) -> Iterator[httpx2.Client]:
    """A client of the Entra ID stand-in's https listener."""
    with standins.http() as client:
        yield client


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Where a test runs `python -m local`."""
    with closing(Place(tmp_path / "home")) as place:
        yield place
