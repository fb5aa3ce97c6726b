"""What every server on loopback shares: listening, certificates, and the refusal to serve anybody else."""
