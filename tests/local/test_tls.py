"""The local certificates: trusted by real clients, renewed in time, and safe to make from many processes at once."""

from __future__ import annotations

import os
import ssl
import stat
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from socket import create_connection, socket
from typing import TYPE_CHECKING

import certifi
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from local.config import REPOSITORY
from local.loopback.tls import AUTHORITY_LIFETIME, LEAF_LIFETIME, RENEW_BEFORE, TlsFiles, ensure_tls

if TYPE_CHECKING:
    from pathlib import Path


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _leaf(files: TlsFiles) -> x509.Certificate:
    return x509.load_pem_x509_certificate(files.server.read_bytes())


def _handshake(files: TlsFiles, *, name: str, trust: ssl.SSLContext | None = None) -> str | None:
    """TLS version agreed on between a server with the leaf and a client that trusts the bundle."""
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(files.server)
    client = trust or ssl.create_default_context(cafile=str(files.bundle))
    with socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def accept() -> None:
            connection, _ = listener.accept()
            with connection:
                try:
                    serving.wrap_socket(connection, server_side=True).close()
                except (ssl.SSLError, ConnectionError):
                    return

        server = threading.Thread(target=accept)
        server.start()
        try:
            with (
                create_connection(listener.getsockname(), timeout=5) as raw,
                client.wrap_socket(raw, server_hostname=name) as secured,
            ):
                return secured.version()
        finally:
            server.join(5)


def test_ensure_tls_creates_all_files(tmp_path: Path) -> None:
    files = ensure_tls(tmp_path / "new" / "tls")
    assert (files.ca.name, files.server.name, files.bundle.name) == ("ca.pem", "server.pem", "bundle.pem")
    assert all(path.exists() for path in (files.ca, files.server, files.bundle))


def test_bundle_has_public_roots_and_local_authority(tmp_path: Path) -> None:
    files = ensure_tls(tmp_path)
    content = files.bundle.read_bytes()
    with open(certifi.where(), "rb") as roots:  # noqa: PTH123 certifi hands out a string
        assert content.startswith(roots.read().rstrip())
    assert content.endswith(files.ca.read_bytes())


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1"])
def test_strict_client_trusts_leaf_for_loopback_name(tmp_path: Path, name: str) -> None:
    assert _handshake(ensure_tls(tmp_path), name=name) == "TLSv1.3"


def test_client_refuses_leaf_for_another_name(tmp_path: Path) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match=r"[Hh]ostname"):
        _handshake(ensure_tls(tmp_path), name="login.microsoftonline.com")


def test_client_without_bundle_refuses_leaf(tmp_path: Path) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        _handshake(ensure_tls(tmp_path), name="localhost", trust=ssl.create_default_context(cafile=certifi.where()))


def test_stolen_authority_key_cannot_vouch_for_another_host(tmp_path: Path) -> None:
    files = ensure_tls(tmp_path)
    pem = (tmp_path / "ca-key.pem").read_bytes()
    authority, authority_key = x509.load_pem_x509_certificate(pem), load_pem_private_key(pem, password=None)
    assert isinstance(authority_key, ec.EllipticCurvePrivateKey)
    good = _leaf(files)
    key = load_pem_private_key(files.server.read_bytes(), password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    forged = x509.CertificateBuilder(
        issuer_name=authority.subject,
        subject_name=good.subject,
        public_key=key.public_key(),
        serial_number=1,
        not_valid_before=good.not_valid_before_utc,
        not_valid_after=good.not_valid_after_utc,
        extensions=[
            extension for extension in good.extensions if not isinstance(extension.value, x509.SubjectAlternativeName)
        ],
    ).add_extension(x509.SubjectAlternativeName([x509.DNSName("login.microsoftonline.com")]), critical=False)
    certificate = forged.sign(authority_key, hashes.SHA256()).public_bytes(Encoding.PEM)
    private = files.server.read_bytes().partition(b"-----BEGIN CERTIFICATE")[0]
    files.server.write_bytes(private + certificate)
    with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree violation"):
        _handshake(files, name="login.microsoftonline.com")


def test_second_call_changes_nothing(tmp_path: Path) -> None:
    ensure_tls(tmp_path)
    before = _contents(tmp_path)
    ensure_tls(tmp_path)
    assert _contents(tmp_path) == before


@pytest.mark.skipif(os.name != "posix", reason="POSIX permissions")
@pytest.mark.parametrize(("name", "mode"), [("ca-key.pem", 0o600), ("server.pem", 0o600), ("bundle.pem", 0o644)])
def test_private_keys_are_readable_by_owner_only(tmp_path: Path, name: str, mode: int) -> None:
    ensure_tls(tmp_path)
    assert stat.S_IMODE((tmp_path / name).stat().st_mode) == mode


@pytest.mark.parametrize(
    "later", [LEAF_LIFETIME - RENEW_BEFORE + timedelta(hours=1), LEAF_LIFETIME + timedelta(days=1)]
)
def test_leaf_is_renewed_under_the_same_authority_before_it_expires(tmp_path: Path, later: timedelta) -> None:
    now = datetime.now(UTC)
    files = ensure_tls(tmp_path, now=now)
    authority, old = files.ca.read_bytes(), _leaf(files)
    ensure_tls(tmp_path, now=now + later)
    assert files.ca.read_bytes() == authority
    assert _leaf(files).serial_number != old.serial_number
    assert _leaf(files).not_valid_after_utc > old.not_valid_after_utc


def test_leaf_is_kept_while_it_is_good_for_long(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    old = _leaf(ensure_tls(tmp_path, now=now))
    assert _leaf(ensure_tls(tmp_path, now=now + timedelta(days=300))) == old


def test_expired_authority_is_replaced_with_leaf_and_bundle(tmp_path: Path) -> None:
    old_now = datetime.now(UTC) - AUTHORITY_LIFETIME
    files = ensure_tls(tmp_path, now=old_now)
    authority = files.ca.read_bytes()
    ensure_tls(tmp_path)
    assert files.ca.read_bytes() != authority
    assert files.bundle.read_bytes().endswith(files.ca.read_bytes())
    assert _handshake(files, name="localhost") == "TLSv1.3"


@pytest.mark.parametrize("name", ["ca-key.pem", "server.pem", "ca.pem", "bundle.pem"])
@pytest.mark.parametrize("content", [None, b"", b"not a certificate"])
def test_missing_or_broken_file_is_repaired(tmp_path: Path, name: str, content: bytes | None) -> None:
    files = ensure_tls(tmp_path)
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)
    ensure_tls(tmp_path)
    assert _handshake(files, name="localhost") == "TLSv1.3"


def test_bundle_is_rewritten_when_certifi_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = ensure_tls(tmp_path / "tls")
    leaf = files.server.read_bytes()
    roots = tmp_path / "other-roots.pem"
    roots.write_bytes(b"# roots of another certifi\n")
    monkeypatch.setattr(certifi, "where", lambda: str(roots))
    ensure_tls(tmp_path / "tls")
    assert files.bundle.read_bytes() == b"# roots of another certifi\n" + files.ca.read_bytes()
    assert files.server.read_bytes() == leaf


def test_processes_at_once_agree_on_one_authority(tmp_path: Path) -> None:
    program = (
        f"from pathlib import Path; from local.loopback.tls import ensure_tls; ensure_tls(Path({str(tmp_path)!r}))"
    )
    racers = [subprocess.Popen([sys.executable, "-c", program], cwd=REPOSITORY) for _ in range(4)]
    assert [racer.wait(60) for racer in racers] == [0, 0, 0, 0]
    files = ensure_tls(tmp_path)
    assert _handshake(files, name="localhost") == "TLSv1.3"
    assert sorted(_contents(tmp_path)) == ["bundle.pem", "ca-key.pem", "ca.pem", "server.pem"]


def test_leaf_names_loopback_only(tmp_path: Path) -> None:
    names = _leaf(ensure_tls(tmp_path)).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert IPv4Address("127.0.0.1") in names.get_values_for_type(x509.IPAddress)
