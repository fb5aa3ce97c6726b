"""Other APIs on the caller's behalf: what a tool asks for as a parameter, and what the server provides for that."""

from __future__ import annotations

from entra_mcp.downstream.dependencies import Graph, OnBehalf, OnBehalfOf
from entra_mcp.downstream.graph import GraphClient, Page
from entra_mcp.downstream.refusals import DownstreamError
from entra_mcp.downstream.shared import Downstream, open_downstream
from entra_mcp.downstream.tokens import DelegatedToken

__all__ = [
    "DelegatedToken",
    "Downstream",
    "DownstreamError",
    "Graph",
    "GraphClient",
    "OnBehalf",
    "OnBehalfOf",
    "Page",
    "open_downstream",
]
