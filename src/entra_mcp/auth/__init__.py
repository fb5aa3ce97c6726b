"""OAuth: the provider and its endpoints, between the clients (`clients/`) and Entra ID (`entra/`)."""
