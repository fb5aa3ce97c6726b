"""The app that the engine is tested with: what its tests need of tools, resources and prompts, and no more."""
