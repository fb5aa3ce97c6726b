"""Tools whose input schema the suite looks at: all of JSON Schema, and an argument that is a header too."""

import json
from typing import Annotated, Any, override

from fastmcp.server.providers import LocalProvider
from fastmcp.tools import Tool, ToolResult
from pydantic import Field

TEXT = {"type": "string"}
SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {"$anchor": "addressDef", "type": "object", "properties": {"street": TEXT, "city": TEXT}},
    },
    "properties": {
        "name": TEXT,
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": TEXT,
        "email": TEXT,
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}


def register(server: LocalProvider) -> None:
    """Adds them."""
    server.add_tool(Contact(name="json_schema_2020_12_tool", description="Note a contact.", parameters=SCHEMA))
    server.tool(ship)


class Contact(Tool):
    """Has a schema as it is given, which no Python function has."""

    @override
    async def run(self, arguments: dict[str, Any]) -> ToolResult:
        return ToolResult(content=json.dumps(arguments))


async def ship(region: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})]) -> str:
    """Ship to a region."""
    return region
