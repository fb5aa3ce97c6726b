"""The resources: one module each. To add one, write a function in a module of its own and register it here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from entra_mcp.resources.order_report import order_report
from entra_mcp.resources.report_catalogue import report_catalogue

if TYPE_CHECKING:
    from fastmcp import FastMCP

RESOURCES = (report_catalogue, order_report)


def register(server: FastMCP) -> None:
    """Adds every resource and resource template to the server."""
    for resource in RESOURCES:
        server.add_resource(resource)
