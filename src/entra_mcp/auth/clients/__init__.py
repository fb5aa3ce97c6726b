"""The clients of this server: who they say that they are, where they may be reached, and how they prove it."""
