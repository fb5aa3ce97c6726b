"""The prompts: a function with `@prompt` in a module of its own is one."""
