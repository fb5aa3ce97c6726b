"""Entra ID support: the app registration, the token endpoint, and verification of tokens."""
