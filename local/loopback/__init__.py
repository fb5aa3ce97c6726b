"""Servers on loopback: listening, certificates, and the refusal to serve anybody else."""
