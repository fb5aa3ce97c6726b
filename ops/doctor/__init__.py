"""The examinations of a server, one module for each place where something can be wrong."""
