"""The tools: a function with `@tool` in a module of its own is one."""
