"""What a fresh machine needs before anything can run: the virtual environment, Azurite, a browser for the tests."""
