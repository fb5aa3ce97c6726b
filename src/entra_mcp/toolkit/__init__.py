"""Help for tools: the caller, the services, the background task, questions to the person, icons."""

from entra_mcp.toolkit.background import BackgroundTask, CurrentTask
from entra_mcp.toolkit.caller import Caller, CurrentCaller
from entra_mcp.toolkit.icons import glyph
from entra_mcp.toolkit.questions import answered, ask, can_ask, declined
from entra_mcp.toolkit.services import Service

__all__ = [
    "BackgroundTask",
    "Caller",
    "CurrentCaller",
    "CurrentTask",
    "Service",
    "answered",
    "ask",
    "can_ask",
    "declined",
    "glyph",
]
