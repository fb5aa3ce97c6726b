"""Logging: every record goes to the root logger, which the Functions worker forwards to the host and its log store."""

from __future__ import annotations

import logging

from entra_mcp.audit import LOGGER as AUDIT
from entra_mcp.redaction import install_redaction

QUIET_LOGGERS = (
    # At INFO these write a line for each request, with its URL; that is noise at best, and URLs can hold keys.
    # FastMCP's lines repeat those of the audit log. Each line is charged for where Application Insights gets it.
    "azure.core",
    "azure.identity",
    "azure.monitor",
    "fastmcp",
    "httpcore2",
    "httpx2",
    "mcp",
    "msal",
)


def configure_logging() -> None:
    """Keeps secrets out of every record and the audit log on, and sends FastMCP's records where all others go.

    FastMCP writes to the console with handlers of its own and keeps its records from the root logger, so that in Azure
    they would never reach the log store.
    """
    install_redaction()
    logging.getLogger(AUDIT).setLevel(logging.INFO)
    for name in QUIET_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
    fastmcp = logging.getLogger("fastmcp")
    fastmcp.handlers.clear()
    fastmcp.propagate = True
