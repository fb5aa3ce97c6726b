"""The few questions about URLs that several modules ask."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit


def is_loopback(url: str) -> bool:
    """Whether the URL's host is this machine: 127.0.0.0/8, ::1 or localhost (RFC 6761 section 6.3)."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def require_https(url: str) -> str:
    """Returns the URL.

    Raises:
        ValueError: it is not an absolute https URL; http is accepted on loopback.
    """
    parts = urlsplit(url)
    if not parts.hostname or parts.scheme not in {"https", "http"}:
        raise ValueError("is not an absolute https:// URL")
    if parts.scheme == "http" and not is_loopback(url):
        raise ValueError("has to be https:// unless the host is on loopback")
    return url


def require_origin(url: str) -> str:
    """Returns scheme, host and port of the URL.

    Raises:
        ValueError: as `require_https`, or the URL has more than an origin.
    """
    url = require_https(url)
    parts = urlsplit(url)
    if parts.path not in {"", "/"} or parts.query or parts.fragment or parts.username is not None:
        raise ValueError("has to be an origin, without a path, query, fragment or user name")
    return f"{parts.scheme}://{parts.netloc}"
