"""The few questions about URLs that several modules ask."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pydantic import AnyUrl, ValidationError

if TYPE_CHECKING:
    from collections.abc import Iterable

PAGE_SCHEMES = frozenset({"vscode-webview", "app", "tauri", "chrome-extension", "moz-extension"})
"""Schemes of pages that come with an application: VS Code's, Electron's, Tauri's, and extensions of browsers."""

WEBVIEWS = "vscode-webview://"
"""All pages inside VS Code: each has an id of its own, and another one the next time."""

TAURI_PAGES = "http://tauri.localhost"
"""The pages of Tauri's applications on Windows and Android; the application answers for the name, no network does."""


UNCLEAR = re.compile(r"\\|#|/\.{1,2}(/|$)|%2e|%2f|%5c|%[01]|%7f", re.IGNORECASE)
"""What browsers and servers may read in another way than this server."""


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
        ValueError: as `require_https`, or the URL has more than an origin, or is not how browsers send that.
    """
    url = require_https(url)
    parts = urlsplit(url)
    if parts.path not in {"", "/"} or parts.query or parts.fragment or parts.username is not None:
        raise ValueError("has to be an origin, without a path, query, fragment or user name")
    origin = f"{parts.scheme}://{parts.netloc}"
    if (normal := normal_form(origin)) != f"{origin.lower()}/":
        raise ValueError(f"is not in the normal form of an origin{f', {normal[:-1]}' if normal else ''}")
    return origin


def require_page_origin(origin: str) -> str:
    """Returns the origin of a page, as a browser or an application made of web pages sends it, or `WEBVIEWS`.

    Raises:
        ValueError: it is not one, or a pattern.
    """
    origin = origin.lower()
    if "*" in origin:
        raise ValueError(f"takes no `*`: name each origin, and {WEBVIEWS} for all pages inside VS Code")
    if origin in {WEBVIEWS, TAURI_PAGES}:
        return origin
    scheme, _, host = origin.partition("://")
    if scheme not in PAGE_SCHEMES:
        return require_origin(origin)
    # Electron's applications often call their pages `app://-` or `app://.`.
    if not re.fullmatch(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?|[-.]", host):
        raise ValueError("has pages of an application without a host, or with more than one, as in app://obsidian.md")
    return origin


def origins_pattern(origins: Iterable[str]) -> str:
    """Returns the regular expression of all that the origins stand for, each as `require_page_origin` returns it."""
    return "|".join(re.escape(origin) + ("[a-z0-9-]+" if origin == WEBVIEWS else "") for origin in origins)


def normal_form(uri: str) -> str | None:
    """Returns the URI as browsers write it, or None for what is none."""
    if not uri.isprintable() or " " in uri:
        return None
    try:
        return str(AnyUrl(uri))
    except ValidationError:
        return None


def canonical(uri: str) -> str | None:
    """Returns the URI as it is kept; None for one that is not written in its normal form.

    Two that are in it are the same when their characters are (RFC 9700 section 4.1.3). An empty path may be left out.
    """
    kept = normal_form(uri) if uri.isascii() else None
    return kept if kept in {uri, f"{uri}/"} else None


def require_narrow(pattern: str) -> None:
    """Refuses a pattern of redirect URIs that admits more than one client's callback (RFC 9700 section 4.1), or none.

    Raises:
        ValueError: the message completes a sentence that begins with the name of a setting.
    """
    parts = urlsplit(pattern)
    if not parts.netloc and not re.fullmatch(r"[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+", parts.scheme):
        raise ValueError(
            "takes `defaults`, the words of docs/settings.md for well-known clients, URIs with a host, and private-use "
            "schemes: com.example.app:/callback"
        )
    if "*" in (parts.hostname or ""):
        raise ValueError("has `*` in a host: name each host")
    if "@" in parts.netloc or UNCLEAR.search(pattern):
        raise ValueError("has a redirect URI with a user name, a fragment, dot segments or the like")
    if not re.fullmatch(r"(\[[^\]]*\]|[^:]*)(:(\*|[1-9]\d*))?", parts.netloc):
        raise ValueError("has a port that is neither a number nor `*`")
    if parts.scheme == "http" and not is_loopback(pattern):
        raise ValueError("has an http redirect URI that is not on loopback")
    # Other schemes open an application, whatever the host says (RFC 8252 section 7.1).
    no_path = {"", "/", "/*"} if parts.scheme in {"http", "https"} else {"/*"}
    if parts.path in no_path and not is_loopback(pattern):
        raise ValueError("has a redirect URI without a path, which would admit every page of that site")
    if "*" in re.sub(r"(?<==)\*(?=&|$)", "", parts.query):
        raise ValueError("has `*` in a query, where it can only be a whole value: app://host/callback?id=*")
    example = parts._replace(netloc=parts.netloc.lower()).geturl().replace("*", "1")
    if canonical(example) is None:
        better = f", only {normal}" if (normal := normal_form(example)) else ""
        raise ValueError(f"has a redirect URI that no client may send{better}: {pattern}")
