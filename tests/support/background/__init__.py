"""Background tasks for the engine's own tests: tools, a Functions app, and instances in memory."""
