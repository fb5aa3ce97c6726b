"""Certificates for https on loopback: a local authority, one server certificate, and the bundle that clients trust.

Threat: whoever has the authority's key could impersonate any site to a program that trusts the bundle. So that key is
never written anywhere: the authority signs one certificate, for loopback names, and is gone.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import certifi
import trustme
from cryptography import x509
from cryptography.exceptions import InvalidSignature

from local.private_file import write_private
from local.processes.locks import waiting

NAMES = ("localhost", "127.0.0.1", "::1")
LIFETIME = timedelta(days=397)
RENEW_BEFORE = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """PEM files: the authority's certificate, the server's key and certificate, certifi's roots plus the authority."""

    ca: Path
    server: Path
    bundle: Path


def ensure_tls(directory: Path, *, now: datetime | None = None) -> TlsFiles:
    """Make the files if they are missing, broken or expire within 30 days; what is good stays as it is.

    Processes that call it at once agree: one creates the files, the others find them.
    """
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    files = TlsFiles(ca=directory / "ca.pem", server=directory / "server.pem", bundle=directory / "bundle.pem")
    moment = now or datetime.now(UTC)
    with waiting(directory / "lock"):
        if not _are_good(files, now=moment):
            authority = trustme.CA(organization_name="Local development", organization_unit_name="loopback only")
            server = authority.issue_cert(*NAMES, not_after=moment + LIFETIME)
            write_private(files.server, server.private_key_and_cert_chain_pem.bytes())
            files.ca.write_bytes(authority.cert_pem.bytes())
        bundle = Path(certifi.where()).read_bytes().rstrip() + b"\n" + files.ca.read_bytes()
        if not files.bundle.exists() or files.bundle.read_bytes() != bundle:
            files.bundle.write_bytes(bundle)
    return files


def _are_good(files: TlsFiles, *, now: datetime) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(files.server)
        certificate = x509.load_pem_x509_certificate(files.server.read_bytes())
        certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(files.ca.read_bytes()))
    except (OSError, ValueError, InvalidSignature):
        return False
    return now < certificate.not_valid_after_utc - RENEW_BEFORE
