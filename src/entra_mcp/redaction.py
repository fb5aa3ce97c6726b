"""Takes secrets out of log records where the records are made, before any handler sees them.

Threat: libraries log what they are given, at DEBUG whole URLs and headers, and in errors the values that were wrong. A
code, a token or a cookie in a log store is good for whoever may read it (https://cwe.mitre.org/data/definitions/532.html).
A filter on handlers would miss those that are added later, and loggers that keep their records to themselves.

What is put into a message stays on its line, too: anybody can send the callback an error whose text, which FastMCP
logs, begins lines of its own (https://cwe.mitre.org/data/definitions/117.html).
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    Make = Callable[..., logging.LogRecord]

REDACTED = "[redacted]"

CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")

SURROGATE = re.compile(r"[\ud800-\udfff]")
"""Half a character, which JSON can name and no handler can write."""

UNREADABLE = "(a log record whose arguments do not fit its message)"

_NAMES = "|".join(
    (
        *("access_token", "refresh_token", "id_token", "token", "assertion", "client_assertion", "user_assertion"),
        *("subject_token", "code", "code_verifier", "proxy_code_verifier", "state", "client_state", "session_state"),
        *("nonce", "txn_id", "csrf_token", "consent_token", "client_secret", "secret", "password", "passwd"),
        *("sig", "AccountKey", "SharedAccessKey", "SharedAccessSignature", "api_key", "x-functions-key"),
        *("x-identity-header", "signing_key", "jwt_signing_key"),
    )
)
_HEADERS = "authorization|proxy-authorization|cookie|set-cookie|x-identity-header|x-functions-key"
_QUOTED = r"""(?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')"""


def _pattern(expression: str) -> re.Pattern[str]:
    return re.compile(expression, re.IGNORECASE | re.DOTALL)


_AFTER: tuple[re.Pattern[str], ...] = (
    # The value that was wrong, which pydantic shows whatever it is.
    _pattern(r"(input_value=).{0,300}?(?=, input_type=)"),
    # Cookies and credentials, as lines of a message and as lists of pairs.
    _pattern(rf"((?<![\w-])(?:{_HEADERS})\s*:[ \t]*+)(?!\[redacted\])[^\r\n\"']+"),
    _pattern(rf"""(["'](?:{_HEADERS})["']\s*[:,]\s*[bu]?){_QUOTED}"""),
    # Members of JSON, of dictionaries, and of objects in their repr.
    _pattern(rf"""((?<![\w-])["']?(?:{_NAMES})["']?\s*[:=]\s*[bu]?){_QUOTED}"""),
    # Parameters of a URL or a form, also one that is encoded within another; short numbers are status codes.
    _pattern(
        rf"""((?:(?<![\w-])|(?<=%26)|(?<=%3F))(?:{_NAMES})(?:=|%3D))"""
        r"""(?!\d{1,6}(?![\w.~-]))(?!\[redacted\])(?:(?!%26)[^&\s"'<>;,)\]}])+"""
    ),
    _pattern(r"(\b(?:bearer|basic)\s+)(?:[\w.~+/-]{16,}=*|(?=[\w.~+/-]*\d)[\w.~+/-]{4,}=*)"),
    # What FastMCP says of transactions and codes, whose ids are secrets.
    _pattern(r"(\btransaction(?: id)?:?\s+|\bcode[\w ]{0,40}(?:not found|expired)[\w ]{0,40}:\s*)[\w-]{16,}"),
)
"""What follows the first group is a secret."""

_SECRETS: tuple[re.Pattern[str], ...] = (
    # JWTs, and other JSON in base64 such as signed cookies.
    re.compile(r"(?<![\w-])eyJ[\w+/-]{6,}={0,2}(?:\.[\w+/-]*={0,2}){0,4}"),
    # Client secrets of Entra ID.
    re.compile(r"(?<![\w~.-])[\w~.-]{3}\dQ~[\w~.-]{31,34}"),
    # 32 bytes in base64, as the signing key, and 64, as the key of a storage account.
    re.compile(r"(?:[A-Za-z0-9+/]{43}=|[A-Za-z0-9+/]{86}==)"),
    # Random words of 24 bytes or more.
    re.compile(r"(?<![\w-])(?=[\w-]*[a-z])(?=[\w-]*[A-Z])(?=[\w-]*\d)[A-Za-z0-9_-]{32,}"),
)


def redact(text: str) -> str:
    """Returns the text without what looks like a secret, stands where one stands, or cannot be written."""
    text = SURROGATE.sub(_escaped, text)
    for pattern in _AFTER:
        text = pattern.sub(rf"\1{REDACTED}", text)
    for pattern in _SECRETS:
        text = pattern.sub(REDACTED, text)
    return text


def _escaped(found: re.Match[str]) -> str:
    return repr(found[0])[1:-1]


class RedactingFactory:
    """Creates log records, as `logging.setLogRecordFactory` wants them.

    A record without a secret stays as it is, arguments and exception included, for handlers that send these apart. What
    is passed as `extra` is not looked at.
    """

    def __init__(self, make: Make) -> None:
        self._make = make
        self._formatter = logging.Formatter()

    def __call__(self, *args: Any, **kwargs: Any) -> logging.LogRecord:  # noqa: ANN401 - whatever a factory is given
        record = self._make(*args, **kwargs)
        if isinstance(record.args, tuple):
            record.args = tuple(
                CONTROL.sub(_escaped, str(value)) if isinstance(value, str | BaseException) else value
                for value in record.args
            )
        try:
            message = record.getMessage()
        except Exception:  # noqa: BLE001 - any object may be an argument; handlers would print the arguments as they are
            message = record.msg = UNREADABLE
            record.args = ()
        clean = redact(message)
        if clean != message:
            record.msg, record.args = clean, ()
        if record.exc_info and record.exc_info[0] is not None:
            trace = self._formatter.formatException(record.exc_info)
            clean = redact(trace)
            if clean != trace:
                record.exc_info, record.exc_text = None, clean
        if record.stack_info:
            record.stack_info = redact(record.stack_info)
        return record


def install_redaction() -> None:
    """Leads every log record of this process through `redact`; doing it twice does no harm."""
    make = logging.getLogRecordFactory()
    if not isinstance(make, RedactingFactory):
        logging.setLogRecordFactory(RedactingFactory(make))
