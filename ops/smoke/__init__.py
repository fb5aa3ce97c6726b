"""The steps of the smoke test: what a client goes through before a person signs in, and what must be refused."""
