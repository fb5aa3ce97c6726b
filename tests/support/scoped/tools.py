"""Tools for a scope, for two, and for a scope beside other rules."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from fastmcp.exceptions import AuthorizationError
from fastmcp.server.auth import require_roles, require_scopes
from fastmcp.tools import tool

if TYPE_CHECKING:
    from fastmcp.server.auth import AuthContext

APPROVE, DELETE = "Orders.Approve", "Orders.Delete"

administrators = require_roles("Admin", extract=lambda claims: claims["roles"])


async def by_the_user(context: AuthContext) -> bool:
    """Admits one account, after a look somewhere else."""
    await asyncio.sleep(0)
    return context.token is not None and context.token.claims["name"] == "Local User"


def by_nobody(context: AuthContext) -> bool:
    raise AuthorizationError(f"{context.component.name} is closed")


@tool(auth=require_scopes(APPROVE))
async def approve_order(number: int) -> str:
    """Approve an order."""
    return f"approved {number}"


@tool(auth=[require_scopes(APPROVE), require_scopes(DELETE), by_the_user])
async def delete_order(number: int) -> str:
    """Delete an order, for one person."""
    return f"deleted {number}"


@tool(auth=[administrators, require_scopes(DELETE)])
async def delete_all_orders() -> str:
    """Delete all orders, for administrators."""
    return "deleted"


@tool(auth=[require_scopes(DELETE), by_nobody])
async def closed() -> str:
    """Do what nobody may."""
    return "done"
