"""What goes into a hostile request: values, methods, types, bodies and headers that are wrong, odd or not one's own."""

from __future__ import annotations

MARK = "<fuzz onload=alert(1)>"
"""What must never be in a page as it is."""

SECRETS = (
    *("client_id", "code", "used_code", "access_token", "refresh_token", "used_refresh_token", "txn_id", "csrf_token"),
    "request_state",
)
"""What a running server fills in."""

PLACEHOLDERS = [f"{{{name}}}" for name in SECRETS]

HOSTILE = [
    *(
        "",
        " ",
        "0",
        "-1",
        "1e309",
        "NaN",
        "null",
        "true",
        "[]",
        "{}",
        "\x00",
        "a\x00b",
        "\r\nX-Injected: 1",
        "\n",
        "\t",
    ),
    *("%", "%00", "%0d%0aX: 1", "%ff%fe", "..", "../../etc/passwd", "\\", "'", '"', "a" * 5000, "🦊", "é", "\u202eabc"),
    *(
        "\ud800",
        "{0}",
        "{code.__class__}",
        "%s%n",
        "${jndi:ldap://x}",
        MARK,
        f"'\"{MARK}",
        "javascript:alert(1)",
        "x" * 43,
    ),
    *(
        "https://evil.example/cb",
        "http://localhost:1/cb#f",
        "http://a@localhost:1/",
        "http://[::1",
        "http://localhost:99999",
    ),
    *(
        "http://localhost:53682/callback",
        "http://localhost:7071/mcp",
        "//evil.example",
        "http://\x00",
        "mailto:a@b",
        "::",
    ),
    *(
        "http://LOCALHOST:53682/callback",
        "http://localhost:53682/callback?error=x",
        "http://xn--/",
        "access_as_user",
        "none",
    ),
    *("22222222-2222-4222-8222-222222222222", "eyJhbGciOiJub25lIn0.e30.", "a.b.c", "a.b.c.d.e", "authorization_code"),
    *(
        "eyJhbGciOiJIUzI1NiIsImtpZCI6IngifQ.e30.AAAA",
        "eyJhbGciOiJIUzI1NiIsImtpZCI6W119.W10.AAAA",
        "refresh_token",
        "\ufeff",
    ),
    *(
        "client_secret_basic",
        "client_secret_post",
        "private_key_jwt",
        "S256",
        "plain",
        "code token",
        "code",
        "approve",
        "deny",
    ),
]

METHODS = ["GET", "POST", "HEAD", "OPTIONS", "DELETE", "PUT", "PATCH", "TRACE", "CONNECT", "PROPFIND", "G"]

CONTENT_TYPES = [
    "application/x-www-form-urlencoded",
    "application/x-www-form-urlencoded; charset=utf-16",
    "application/json",
    "application/json; charset=x",
    "multipart/form-data; boundary=x",
    "multipart/form-data",
    "multipart/form-data; boundary=" + "x" * 300,
    "text/plain",
    "text/event-stream",
    "\xff",
    "",
]

BODIES = [
    b"",
    b"\x00",
    b"\xff\xfe\xfd",
    b"{",
    b"[" * 4000,
    b'{"a":' * 4000,
    b"=&=&;&&a",
    b"&" * 3000,
    b"%",
    b"a=%ff&grant_type=%00",
    b"--x\r\n\r\n",
    b'--x\r\nContent-Disposition: form-data; name="token"; filename="f"\r\n\r\nv\r\n--x--\r\n',
    (
        b'--x\r\nContent-Disposition: form-data; name="client_id"\r\n\r\n{client_id}\r\n'
        b'--x\r\nContent-Disposition: form-data; name="refresh_token"; filename="f"\r\n\r\nv\r\n--x--\r\n'
    ),
    b"1" * 5000,
    b'{"a": 1e400, "b": NaN, "c": 1' + b"0" * 5000 + b"}",
    b'"\\ud800"',
]

HEADERS = {
    "accept": ["*/*", "text/html", "application/json", "text/event-stream", "application/json, text/event-stream", ""],
    "authorization": [
        *(
            "Bearer {access_token}",
            "bearer {access_token}",
            "Bearer {refresh_token}",
            "Bearer",
            "Bearer ",
            "Basic",
            "Basic !",
        ),
        *(
            "Basic e2NsaWVudF9pZH06",
            "Basic OjpcZmY=",
            "Basic /////w==",
            "Bearer a.b.c",
            "\xff",
            "Bearer \xff.\xff.\xff",
        ),
    ],
    "content-encoding": ["gzip", "br", "x"],
    "content-length": ["0", "5", "99999999999999999999", "-1", "x", "\xb2"],
    "cookie": [
        *(
            "a",
            "=",
            ";;;",
            "a=b",
            "\xff=\xff",
            "__MCP_CONSENT_STATE_x=eyJ0eG4iOjF9.x",
            "MCP_CONSENT_STATE=" + "x" * 4000,
        ),
        *("{cookie}", "{cookie}x", "{cookie}; {cookie}", 'x="\\377"'),
    ],
    "host": ["localhost:7071", "evil.example", "", "localhost:x", "[::1", "LOCALHOST"],
    "last-event-id": ["1", "\xff"],
    "mcp-method": ["tools/call", "tools/list", "x", "\xff"],
    "mcp-name": ["add", "=?base64?Zm9v?=", "=?base64?!?=", "\xff"],
    "mcp-protocol-version": ["2025-11-25", "2025-06-18", "2024-11-05", "2026-07-28", "9999-99-99", "\xff", ""],
    "mcp-session-id": ["x", "\xff", "x" * 4000],
    "origin": ["http://localhost:7071", "https://evil.example", "null", "\xff", "http://["],
    "sec-fetch-site": ["cross-site", "same-origin"],
    "traceparent": ["00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "\xff", "00-x"],
    "transfer-encoding": ["chunked", "gzip"],
    "x-forwarded-for": ["203.0.113.7", "x", "\xff", "[::1]:1", ",,,"],
    "x-forwarded-host": ["localhost:7071", "evil.example", "\xff"],
    "x-http-method-override": ["DELETE"],
    "x-ms-invocation-id": ["1"],
}


REFUSED_EARLY = ("host", "origin", "x-forwarded-host", "x-ms-invocation-id", "content-length")
"""Headers for which a request is refused before anything else is looked at, if they are not right."""

NAMES = [*sorted(HEADERS), *(name for name in sorted(HEADERS) if name not in REFUSED_EARLY for _ in range(4))]
