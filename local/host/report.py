"""What the log of the host says of the app's starts, for people and for `local/restarts.py`."""

from __future__ import annotations

import re

RESTARTED = "functions restarted"
NOT_STARTED = "the app does not start: "
"""Begins the line about an app that cannot be indexed."""
NOT_READY = "the app is not ready: "
"""Begins the line about an app whose functions are there, but which does not answer them."""
CANNOT_START = "The function app cannot start: "
"""Begins what is said at length, before the line that begins with `NOT_STARTED` or `NOT_READY`."""
APP_SAYS = ("The application did not start", "The application stopped", "Not ready, ")
"""How the lines begin in which the app itself says why it is not ready."""

_FRAME = re.compile(r'  File "(?P<path>[^"]+)", line \d+')
_MACHINERY = ("<frozen importlib", "azure_functions_runtime", "/importlib/", "\\importlib\\", "_clawimp")


def own_frames(stack: str) -> str:
    """The app's own part of a traceback: the frames of the machinery that imported it help nobody."""
    kept: list[str] = []
    keep = True
    for line in stack.splitlines():
        frame = _FRAME.match(line)
        if frame:
            keep = not any(word in frame["path"] for word in _MACHINERY)
        elif not line.startswith("    "):
            keep = True
        if keep:
            kept.append(line)
    return "\n".join(kept)
