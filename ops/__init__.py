"""Commands for a deployment: azd's hooks, checks before and after it, rotation of secrets. Never deployed."""
