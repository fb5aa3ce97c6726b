"""Entra ID: this server's application there, and everything that is asked of it or verified of its tokens."""
