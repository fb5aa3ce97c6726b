"""A stand-in for Azure Key Vault's secrets API, on loopback only.

Start it with `python -m local.vault --help`. It holds `jwt-signing-key` and `entra-client-secret` from the first start
on, and validates bearer tokens against the signing keys of the Entra stand-in. Stop the process to see an outage.
"""
