"""The tools: one module each. To add one, write a function in a module of its own and register it here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from entra_mcp.samples.orders import orders_url
from entra_mcp.tools.add import add
from entra_mcp.tools.admin_stats import admin_stats
from entra_mcp.tools.count_slowly import count_slowly
from entra_mcp.tools.export_report import export_report
from entra_mcp.tools.find_product import find_product
from entra_mcp.tools.forget import forget
from entra_mcp.tools.graph_me import graph_me
from entra_mcp.tools.list_orders import list_orders
from entra_mcp.tools.my_calendar import my_calendar
from entra_mcp.tools.plan_trip import plan_trip
from entra_mcp.tools.recall import recall
from entra_mcp.tools.remember import remember
from entra_mcp.tools.whoami import whoami

if TYPE_CHECKING:
    from fastmcp import FastMCP


INSTRUCTIONS = """\
Tools that act for the person who signed in with Microsoft Entra ID. Ask `whoami` who that is. When a tool answers with
an address to open, show it to the person: only they can sign in and consent there.
"""
"""What clients tell their model about the server as a whole."""

TOOLS = (
    add,
    admin_stats,
    count_slowly,
    export_report,
    find_product,
    forget,
    plan_trip,
    recall,
    remember,
    whoami,
)

GRAPH_TOOLS = (
    graph_me,
    my_calendar,
)
"""Those that act on the caller's behalf at another API, which needs the sign-in of `AUTH_MODE=proxy` or `federated`."""

ORDERS_TOOLS = (list_orders,)
"""Those that need `ORDERS_API_URL` besides."""


def register(server: FastMCP, *, on_behalf_of: bool) -> None:
    """Adds every tool to the server; those that act on the user's behalf at another API only where that is possible."""
    delegated = (*GRAPH_TOOLS, *(ORDERS_TOOLS if orders_url() else ())) if on_behalf_of else ()
    for tool in (*TOOLS, *delegated):
        server.add_tool(tool)
