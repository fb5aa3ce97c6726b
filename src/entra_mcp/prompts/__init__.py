"""The prompts: one module each. To add one, write a function in a module of its own and register it here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from entra_mcp.prompts.review_orders import review_orders

if TYPE_CHECKING:
    from fastmcp import FastMCP

PROMPTS = (review_orders,)


def register(server: FastMCP) -> None:
    """Adds every prompt to the server."""
    for prompt in PROMPTS:
        server.add_prompt(prompt)
