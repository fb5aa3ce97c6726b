"""The subject of the sample tools, resources and prompts. A fork puts its own in its place."""
