"""The redirect URIs that clients may register.

Registration is open to anyone (RFC 7591), so this list is what keeps a stranger from registering a client that looks
like yours and sends the authorization code to a site of theirs (RFC 9700 section 4.1).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from entra_mcp.auth.parameters import described
from entra_mcp.known_clients import GROUPS, HOSTED
from entra_mcp.urls import UNCLEAR, canonical, is_loopback, normal_form

if TYPE_CHECKING:
    from collections.abc import Iterable

SETTING = "MCP_ALLOWED_REDIRECT_URIS"


def admitting_word(uri: str) -> str | None:
    """Returns the word for the setting that would admit the URI, if there is one."""
    for word, patterns in GROUPS.items():
        if is_allowed(uri, patterns):
            return word
    parts = _split(uri)
    for word, path in HOSTED.items():
        if parts is not None and is_allowed(uri, [f"https://{parts.netloc}{path}"]):
            return f"{word}@{parts.netloc}"
    return None


def problem_with(uri: str, patterns: Iterable[str]) -> str | None:
    """Returns why the URI is not admitted, and what would admit it; None for one that is.

    In the characters of an `error_description`, and short, whatever the client sent.
    """
    if is_allowed(uri, patterns):
        return None
    if canonical(uri) is None:
        normal = normal_form(uri)
        reason = f"is not in the normal form of a URI{f', {normal[:200]}' if normal else ''}"
    elif not _is_clear(uri):
        reason = "has a user name, a fragment, dot segments or other parts that no setting admits"
    elif urlsplit(uri).scheme == "http" and not is_loopback(uri):
        reason = "is http, which no setting admits for another host than the person's own machine"
    elif word := admitting_word(uri):
        reason = f"is not a redirect URI that this server admits; the word {word} in {SETTING} admits it"
    else:
        reason = f"is not a redirect URI that this server admits; {SETTING} lists them"
    return described(f"{uri[:200]} {reason}.")


def is_allowed(uri: str, patterns: Iterable[str]) -> bool:
    """Whether a pattern admits the URI.

    `*` in a pattern stands for a port, for part of one segment of the path, or for a value in the query; all else has
    to be the same. A pattern of loopback without a path admits any path. What browsers and servers might read in
    another way (a fragment, a user name, dot segments, backslashes, control characters, percent-encoded or not) is
    never admitted, nor what has a shorter form.
    """
    parts = _split(uri)
    return (
        parts is not None
        and canonical(uri) is not None
        and _is_clear(uri)
        and any(_matches(parts, pattern) for pattern in patterns)
    )


def _is_clear(uri: str) -> bool:
    """Whether browsers and servers read the URI in the same way."""
    parts = _split(uri)
    return parts is not None and "@" not in parts.netloc and not UNCLEAR.search(uri)


def _matches(uri: SplitResult, pattern: str) -> bool:
    any_port = ":*" in urlsplit(pattern).netloc
    wanted = urlsplit(pattern.replace(":*", ":0", 1) if any_port else pattern)
    if (uri.scheme, uri.hostname) != (wanted.scheme, wanted.hostname):
        return False
    if not any_port and uri.port != wanted.port:
        return False
    if not _fits(uri.query, wanted.query, star=r"[\w.~-]+"):
        return False
    any_path = not wanted.path and is_loopback(pattern)
    return any_path or _fits(uri.path, wanted.path, star="[^/]+")


def _fits(text: str, pattern: str, *, star: str) -> bool:
    return re.fullmatch(re.escape(pattern).replace(r"\*", star), text) is not None


def _split(uri: str) -> SplitResult | None:
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError:
        return None
    # Python takes `[::1]evil.example` for the host `::1`.
    strange = "]" in parts.netloc and not re.fullmatch(r"\[[0-9a-fA-F:]+\](:\d+)?", parts.netloc)
    return parts if parts.scheme and port != 0 and not strange else None
