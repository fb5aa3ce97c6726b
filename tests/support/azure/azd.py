"""A program called azd that gives tokens to whoever asks, as the real one does to who is signed in."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

SIGNED_IN = r"""
while [ $# -gt 0 ]; do case "$1" in --scope) scope="$2";; --tenant-id) tenant="$2";; esac; shift; done
payload=$(printf '{"aud":"%s","tid":"%s"}' "$scope" "$tenant" | base64 -w0 | tr -d "=" | tr "+/" "-_")
printf '{"token":"e30.%s.c2ln","expiresOn":"2099-01-01T00:00:00Z"}' "$payload"
"""
"""As azd does: one scope, one tenant, one JSON object."""


def program(folder: Path, name: str, script: str) -> None:
    """Writes a shell script that can be run by its name where the folder is on PATH."""
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
