"""Your server: what it is called, what it offers, what it needs. The engine beside it is never edited."""
