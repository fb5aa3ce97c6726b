"""The pages that a person meets while signing in: consent, and what went wrong."""
