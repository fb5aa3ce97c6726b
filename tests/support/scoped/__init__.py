"""Tools that name scopes of their own, beside those of the tests of everything else."""
