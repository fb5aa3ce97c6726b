"""What the environment says: the engine's settings and the app's own, read together, all faults in one list."""

from entra_mcp.settings.environment import AppSettings, load, unknown_names
from entra_mcp.settings.modes import AuthMode
from entra_mcp.settings.settings import Settings

__all__ = ["AppSettings", "AuthMode", "Settings", "load", "unknown_names"]
