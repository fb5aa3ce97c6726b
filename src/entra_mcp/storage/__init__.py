"""What knows Table Storage: the key-value store, encryption of its rows, and the purge of what has expired."""
