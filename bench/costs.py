"""How many requests a login, a refresh and a call send.

The tests of the flows hold the server to these counts; docs/deploy.md, docs/storage.md and docs/scale.md state them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Cost:
    """What one operation sends: requests to the server, and to Table Storage by their method; tokens of Entra ID."""

    requests: int
    storage: Mapping[str, int]
    tokens: int

    @property
    def stored(self) -> int:
        """All requests to Table Storage."""
        return sum(self.storage.values())


LOGIN = Cost(requests=6, storage={"GET": 7, "POST": 1, "PUT": 6}, tokens=1)
REFRESH = Cost(requests=1, storage={"GET": 2, "POST": 1, "PUT": 2}, tokens=1)
CALL = Cost(requests=1, storage={"GET": 1}, tokens=0)
"""A call that does not follow another of its sign-in on the same instance; those that do send nothing."""
