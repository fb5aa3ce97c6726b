"""The resources: a function with `@resource` in a module of its own is one."""
