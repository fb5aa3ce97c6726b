"""What the tests of the stand-ins share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx2

    from tests.support.standins import StandIns


@pytest.fixture
def http(standins: StandIns) -> Iterator[httpx2.Client]:
    """A client of the Entra ID stand-in's https listener."""
    with standins.http() as client:
        yield client
