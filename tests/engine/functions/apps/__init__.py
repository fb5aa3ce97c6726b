"""Function apps that the tests run in a child process."""
