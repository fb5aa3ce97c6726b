"""Table Storage support: the key-value store, encryption of its rows, and the purge of expired rows."""
