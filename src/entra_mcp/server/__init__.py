"""The MCP server itself: what all its instances share, and what each process opens once."""
