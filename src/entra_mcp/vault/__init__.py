"""Key Vault support: its two secrets, the keys derived from one of them, and their rotation."""
