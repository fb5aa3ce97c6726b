"""A Functions host for a laptop: runs a Python function app on Microsoft's own azure-functions-runtime."""
