"""HTTP around MCP and OAuth: middleware, error answers, probes and the home page."""
