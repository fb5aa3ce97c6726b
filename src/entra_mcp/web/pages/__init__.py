"""Pages for people who sign in: consent and errors."""
