"""What people and probes see of the server besides MCP and OAuth."""
