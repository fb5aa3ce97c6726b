"""Its tools, resources and prompts."""
