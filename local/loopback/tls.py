"""Certificates for https on loopback: a local authority, one server certificate, and the bundle that clients trust.

Threat: whoever reads the authority's key could impersonate any site to a program that trusts the bundle. The authority
is therefore name-constrained (RFC 5280 section 4.2.1.10) to loopback names, and only its owner can read its key.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path

import certifi
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_LIFETIME = timedelta(days=3650)
LEAF_LIFETIME = timedelta(days=397)
RENEW_BEFORE = timedelta(days=30)
CLOCK_SKEW = timedelta(hours=1)

_NAMES: tuple[x509.GeneralName, ...] = (
    x509.DNSName("localhost"),
    x509.IPAddress(IPv4Address("127.0.0.1")),
    x509.IPAddress(IPv6Address("::1")),
)
_PERMITTED: tuple[x509.GeneralName, ...] = (
    x509.DNSName("localhost"),
    x509.IPAddress(IPv4Network("127.0.0.1/32")),
    x509.IPAddress(IPv6Network("::1/128")),
)


class TlsError(Exception):
    """The certificates could not be made consistent; says which folder to remove."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """PEM files: the authority's certificate, the server's key and chain, certifi's roots plus the authority."""

    ca: Path
    server: Path
    bundle: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class _Authority:
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate


def ensure_tls(directory: Path, *, now: datetime | None = None) -> TlsFiles:
    """Create what is missing, renew what expires within 30 days; calling it again changes nothing.

    Safe when several processes call it at once: the authority is created exclusively, everything else follows from it.
    """
    moment = now or datetime.now(UTC)
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    files = TlsFiles(ca=directory / "ca.pem", server=directory / "server.pem", bundle=directory / "bundle.pem")
    authority_file = directory / "ca-key.pem"
    for _ in range(5):
        authority = _authority(authority_file, now=moment)
        ca_pem = authority.certificate.public_bytes(Encoding.PEM)
        if not _leaf_is_good(files.server, authority=authority, now=moment):
            _write(files.server, _issue_leaf(authority, now=moment), mode=0o600)
        _write_if_changed(files.ca, ca_pem)
        _write_if_changed(files.bundle, Path(certifi.where()).read_bytes().rstrip() + b"\n" + ca_pem)
        # Another process may have replaced an expired authority in between; only what is on disk now counts.
        current = _read_authority(authority_file, now=moment)
        if current and _leaf_is_good(files.server, authority=current, now=moment) and files.ca.read_bytes() == ca_pem:
            return files
    raise TlsError(f"The certificates in {directory} keep changing; stop the other processes and remove that folder.")


def _authority(path: Path, *, now: datetime) -> _Authority:
    while (authority := _read_authority(path, now=now)) is None:
        path.unlink(missing_ok=True)
        _create_exclusively(path, _issue_authority(now=now))
    return authority


def _read_authority(path: Path, *, now: datetime) -> _Authority | None:
    try:
        pem = path.read_bytes()
        key = load_pem_private_key(pem, password=None)
        certificate = x509.load_pem_x509_certificate(pem)
    except (FileNotFoundError, ValueError):
        return None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or certificate.not_valid_after_utc - RENEW_BEFORE <= now:
        return None
    return _Authority(key=key, certificate=certificate)


def _issue_authority(*, now: datetime) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Local development authority (loopback only)")])
    certificate = (
        _builder(subject=name, issuer=name, key=key, now=now, lifetime=AUTHORITY_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(authority=True), critical=True)
        .add_extension(x509.NameConstraints(permitted_subtrees=_PERMITTED, excluded_subtrees=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return _key_pem(key) + certificate.public_bytes(Encoding.PEM)


def _issue_leaf(authority: _Authority, *, now: datetime) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    lifetime = min(LEAF_LIFETIME, authority.certificate.not_valid_after_utc - now)
    issuer_key = x509.SubjectKeyIdentifier.from_public_key(authority.key.public_key())
    certificate = (
        _builder(subject=name, issuer=authority.certificate.subject, key=key, now=now, lifetime=lifetime)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(_NAMES), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer_key), critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    chain = certificate.public_bytes(Encoding.PEM) + authority.certificate.public_bytes(Encoding.PEM)
    return _key_pem(key) + chain


def _builder(
    *, subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, lifetime: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + lifetime)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _leaf_is_good(path: Path, *, authority: _Authority, now: datetime) -> bool:
    try:
        pem = path.read_bytes()
        key = load_pem_private_key(pem, password=None)
        leaf = x509.load_pem_x509_certificate(pem)
        leaf.verify_directly_issued_by(authority.certificate)
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (FileNotFoundError, ValueError, InvalidSignature, x509.ExtensionNotFound):
        return False
    return (
        leaf.public_key() == key.public_key()
        and tuple(names) == _NAMES
        and leaf.not_valid_before_utc <= now < leaf.not_valid_after_utc - RENEW_BEFORE
    )


def _create_exclusively(path: Path, content: bytes) -> None:
    """Give `path` this content unless another process was first; a reader never sees half a file."""
    temporary = _temporary(path, content, mode=0o600)
    try:
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        temporary.unlink()


def _write_if_changed(path: Path, content: bytes) -> None:
    if not path.exists() or path.read_bytes() != content:
        _write(path, content, mode=0o644)


def _write(path: Path, content: bytes, *, mode: int) -> None:
    _temporary(path, content, mode=mode).replace(path)


def _temporary(path: Path, content: bytes, *, mode: int) -> Path:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    temporary = Path(name)
    temporary.chmod(mode)
    return temporary
