"""The local certificates: trusted by real clients, renewed in time, and safe to make from many processes at once."""

from __future__ import annotations

import os
import ssl
import stat
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from socket import create_connection, socket

import certifi
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from local.config import REPOSITORY
from local.loopback.tls import LIFETIME, RENEW_BEFORE, TlsFiles, ensure_tls


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _certificate(file: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(file.read_bytes())


def _handshake(files: TlsFiles, *, name: str, trust: ssl.SSLContext | None = None) -> str | None:
    """TLS version agreed on between a server with the certificate and a client that trusts the bundle."""
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
                create_connection(listener.getsockname(), timeout=60) as raw,
                client.wrap_socket(raw, server_hostname=name) as secured,
            ):
                return secured.version()
        finally:
            server.join(5)


def test_files_are_made_with_the_public_roots_in_the_bundle(tmp_path: Path) -> None:
    files = ensure_tls(tmp_path / "new" / "tls")
    bundle = files.bundle.read_bytes()
    assert bundle.startswith(Path(certifi.where()).read_bytes().rstrip())
    assert bundle.endswith(files.ca.read_bytes())


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1"])
def test_strict_client_trusts_the_certificate_for_a_loopback_name(tmp_path: Path, name: str) -> None:
    assert _handshake(ensure_tls(tmp_path), name=name) == "TLSv1.3"


def test_client_refuses_the_certificate_for_another_name(tmp_path: Path) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match=r"[Hh]ostname"):
        _handshake(ensure_tls(tmp_path), name="login.microsoftonline.com")


def test_client_without_the_bundle_refuses_the_certificate(tmp_path: Path) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        _handshake(ensure_tls(tmp_path), name="localhost", trust=ssl.create_default_context(cafile=certifi.where()))


def test_key_of_the_authority_is_in_no_file(tmp_path: Path) -> None:
    files = ensure_tls(tmp_path)
    pem = b"".join(_contents(tmp_path).values())
    assert pem.count(b"PRIVATE KEY-----") == 2  # the first and the last line of one key
    key = load_pem_private_key(files.server.read_bytes(), password=None)
    assert key.public_key() == _certificate(files.server).public_key() != _certificate(files.ca).public_key()


def test_certificate_names_loopback_only_and_signs_nothing(tmp_path: Path) -> None:
    extensions = _certificate(ensure_tls(tmp_path).server).extensions
    names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert names.get_values_for_type(x509.IPAddress) == [ip_address("127.0.0.1"), ip_address("::1")]
    assert extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False


@pytest.mark.skipif(os.name != "posix", reason="POSIX permissions")
def test_key_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        files = ensure_tls(tmp_path / "tls")
    finally:
        os.umask(before)
    assert stat.S_IMODE(files.server.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "tls").stat().st_mode) == 0o700


@pytest.mark.parametrize("later", [timedelta(0), timedelta(days=300), LIFETIME - RENEW_BEFORE - timedelta(hours=1)])
def test_second_call_changes_nothing_while_the_certificate_is_good(tmp_path: Path, later: timedelta) -> None:
    now = datetime.now(UTC)
    ensure_tls(tmp_path, now=now)
    before = _contents(tmp_path)
    ensure_tls(tmp_path, now=now + later)
    assert _contents(tmp_path) == before


@pytest.mark.parametrize("later", [LIFETIME - RENEW_BEFORE + timedelta(hours=1), LIFETIME + timedelta(days=1)])
def test_certificate_is_replaced_before_it_expires(tmp_path: Path, later: timedelta) -> None:
    now = datetime.now(UTC)
    old = _certificate(ensure_tls(tmp_path, now=now).server)
    files = ensure_tls(tmp_path, now=now + later)
    assert _certificate(files.server).not_valid_after_utc > old.not_valid_after_utc
    assert _handshake(files, name="localhost") == "TLSv1.3"


@pytest.mark.parametrize("name", ["server.pem", "ca.pem", "bundle.pem"])
@pytest.mark.parametrize("content", [None, b"", b"not a certificate"])
def test_missing_or_broken_file_is_repaired(tmp_path: Path, name: str, content: bytes | None) -> None:
    files = ensure_tls(tmp_path)
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)
    ensure_tls(tmp_path)
    assert _handshake(files, name="localhost") == "TLSv1.3"


def test_certificate_of_another_authority_is_replaced(tmp_path: Path) -> None:
    files, other = ensure_tls(tmp_path / "one"), ensure_tls(tmp_path / "other")
    files.ca.write_bytes(other.ca.read_bytes())
    assert _handshake(ensure_tls(tmp_path / "one"), name="localhost") == "TLSv1.3"


def test_bundle_is_rewritten_when_certifi_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = ensure_tls(tmp_path / "tls")
    certificate = files.server.read_bytes()
    roots = tmp_path / "other-roots.pem"
    roots.write_bytes(b"# roots of another certifi\n")
    monkeypatch.setattr(certifi, "where", lambda: str(roots))
    ensure_tls(tmp_path / "tls")
    assert files.bundle.read_bytes() == b"# roots of another certifi\n" + files.ca.read_bytes()
    assert files.server.read_bytes() == certificate


def test_processes_at_once_agree_on_one_authority(tmp_path: Path) -> None:
    program = (
        f"from pathlib import Path; from local.loopback.tls import ensure_tls; "
        f"print(ensure_tls(Path({str(tmp_path)!r})).ca.read_text())"
    )
    racers = [
        subprocess.Popen([sys.executable, "-c", program], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    told = {racer.communicate(timeout=60)[0] for racer in racers}
    assert [racer.returncode for racer in racers] == [0, 0, 0, 0]
    assert told == {f"{(tmp_path / 'ca.pem').read_text()}\n"}
