"""Reads the client secret that the Entra stand-in accepts and the vault stand-in serves."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from pathlib import Path


def client_secret_in(file: Path, *, parser: argparse.ArgumentParser) -> str:
    """The secret in the file that `--client-secret-file` names; without one the program ends as for wrong usage."""
    try:
        secret = file.read_text().strip()
    except OSError as error:
        parser.error(f"--client-secret-file: {error.strerror}: {file}")
    if not secret:
        parser.error(f"--client-secret-file: {file} is empty")
    return secret
