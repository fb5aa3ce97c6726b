"""The MCP server itself: its components, middleware, sessions and services."""
