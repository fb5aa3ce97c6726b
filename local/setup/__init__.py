"""Set-up of a fresh machine: the virtual environment, Azurite, a browser for the tests."""
