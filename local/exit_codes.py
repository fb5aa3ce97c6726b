"""The exit codes of `python -m local`, as its help lists them."""

OK, FAILED, USAGE, PORT_TAKEN = 0, 1, 2, 3
SIGNALLED = 128
"""What the number of a signal is added to when it ended the command before its work was done."""
