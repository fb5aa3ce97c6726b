"""A remote MCP server on Azure Functions that signs people in with Microsoft Entra ID."""

__version__ = "0.1.0"
