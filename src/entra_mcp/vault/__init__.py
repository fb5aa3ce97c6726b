"""Key Vault: its two secrets, the keys derived from one of them, and what happens when they change."""
