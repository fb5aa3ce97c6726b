"""Real MCP clients, in their exact versions, against the whole local environment; `make test-clients` runs them."""
