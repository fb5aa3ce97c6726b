"""What the engine is handed in its tests of background tasks."""

from __future__ import annotations

from entra_mcp.definition import Server
from tests.support.background import components

SERVER = Server(name="Tasks server", instructions="Tools that take their time.", components=(components,))
