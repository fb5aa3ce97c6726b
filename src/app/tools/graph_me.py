"""The caller's profile in Microsoft 365: a downstream API called on the caller's behalf."""

from __future__ import annotations

from fastmcp.tools import tool
from mcp.types import ToolAnnotations
from pydantic import BaseModel, Field

from entra_mcp.downstream import Graph, GraphClient
from entra_mcp.toolkit import glyph


class Profile(BaseModel):
    """What Microsoft Graph says of a user (https://learn.microsoft.com/graph/api/user-get)."""

    object_id: str = Field(validation_alias="id")
    name: str | None = Field(None, validation_alias="displayName")
    username: str | None = Field(None, validation_alias="userPrincipalName")
    mail: str | None = None
    job_title: str | None = Field(None, validation_alias="jobTitle")
    office: str | None = Field(None, validation_alias="officeLocation")


PROPERTIES = ("id", "displayName", "userPrincipalName", "mail", "jobTitle", "officeLocation")


@tool(
    icons=[glyph("M12 4a4 4 0 1 0 0 8 4 4 0 0 0 0-8", "M4 21a8 8 0 0 1 16 0")],
    annotations=ToolAnnotations(read_only_hint=True, open_world_hint=True),
)
async def graph_me(graph: GraphClient = Graph("User.Read")) -> Profile:
    """Read your own profile from Microsoft Graph."""
    return Profile.model_validate(await graph.get("/me", select=PROPERTIES))
