"""Tools that run as background tasks, for the engine's own tests."""
