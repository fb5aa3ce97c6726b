"""The check of a run: a real MCP client signs in, as a person would in a browser, and calls the tools."""
