"""OAuth and Entra ID."""
