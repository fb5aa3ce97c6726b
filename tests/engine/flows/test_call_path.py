"""How long the path of an authenticated call is: product functions, their modules, and checks of signatures.

Numbers that a change may lower; one that has to raise them says why.
"""

from __future__ import annotations

import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from joserfc import jwt
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

import entra_mcp
from entra_mcp import patience
from tests.support.mcp import SESSIONLESS, structured, tool_call

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import CodeType

    from tests.support.oauth import OAuthClient

PRODUCT = str(Path(entra_mcp.__file__).parent)
TELEMETRY = f"{PRODUCT}/telemetry"
"""Not on the path, unless another test has switched it on for the whole process."""

MAX_FUNCTIONS = 57
MAX_MODULES = 15


class CallPath:
    """The functions that began to run on this thread, in order."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()
        self._foreign = TELEMETRY if isinstance(trace.get_tracer_provider(), TracerProvider) else "none"
        self.product: list[tuple[str, str]] = []
        self.signature_checks = 0

    def started(self, code: CodeType, _offset: int) -> None:
        if threading.get_ident() != self._thread:
            return
        if code is jwt.decode.__code__:
            self.signature_checks += 1
        if _is_product(code) and not code.co_filename.startswith(self._foreign):
            self.product.append((code.co_filename.removeprefix(PRODUCT), code.co_qualname))

    @property
    def modules(self) -> set[str]:
        return {module for module, _ in self.product}


def _is_product(code: CodeType) -> bool:
    return code.co_filename.startswith(PRODUCT) and not code.co_name.startswith("<")


@contextmanager
def watched() -> Generator[CallPath]:
    """Yields what the block runs."""
    path, monitoring = CallPath(), sys.monitoring
    monitoring.use_tool_id(monitoring.PROFILER_ID, "path of a call")
    monitoring.register_callback(monitoring.PROFILER_ID, monitoring.events.PY_START, path.started)
    monitoring.set_events(monitoring.PROFILER_ID, monitoring.events.PY_START)
    try:
        yield path
    finally:
        monitoring.set_events(monitoring.PROFILER_ID, monitoring.events.NO_EVENTS)
        monitoring.free_tool_id(monitoring.PROFILER_ID)


@pytest.mark.parametrize("protocol", ["2025-11-25", SESSIONLESS])
async def test_call_that_follows_another_takes_a_short_path(
    client: OAuthClient, monkeypatch: pytest.MonkeyPatch, protocol: str
) -> None:
    monkeypatch.setattr(patience, "BEAT_SECONDS", 60.0)  # a slow machine would add beats to the path
    request = tool_call("add", {"a": 1, "b": 1}, token=(await client.sign_in())["access_token"], protocol=protocol)
    with watched() as first:
        assert structured(await client.http.post("/mcp", **request)) == {"result": 2}
    assert first.signature_checks == 1, "this server's token; Entra ID's was verified at the sign-in"
    with watched() as second:
        assert structured(await client.http.post("/mcp", **request)) == {"result": 2}
    assert second.signature_checks == 1
    assert len(second.product) <= MAX_FUNCTIONS, second.product
    assert len(second.modules) <= MAX_MODULES, second.modules
