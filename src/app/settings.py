"""What this server's environment says, beside the engine's own settings."""

from __future__ import annotations

from entra_mcp.settings import AppSettings, HttpsUrl


class SampleSettings(AppSettings):
    """A field is an environment variable of the same name in capital letters."""

    orders_api_url: HttpsUrl | None = None
    """Address of the API that `list_orders` calls; without it the tool is not offered."""
