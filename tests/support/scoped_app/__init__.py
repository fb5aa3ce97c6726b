"""The test app with tools that name scopes of their own, as a Functions app."""
