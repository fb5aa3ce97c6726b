"""What the sample tools, resources and prompts are about. A fork puts its own subject in its place."""
