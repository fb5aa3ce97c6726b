"""Settings: the engine's and the app's own, read from the environment together, all faults in one list."""

from entra_mcp.settings.environment import AppSettings, faults_of, load, unknown_names
from entra_mcp.settings.settings import Settings
from entra_mcp.settings.types import AuthMode, HttpsUrl

__all__ = ["AppSettings", "AuthMode", "HttpsUrl", "Settings", "faults_of", "load", "unknown_names"]
