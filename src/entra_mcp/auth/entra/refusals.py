"""What an error number of Entra ID says to the person who was not signed in: this server's own words, in short.

Entra ID's own text is never passed on: anybody can write a link that carries one. What an owner of the server does
about a number is in docs/errors. The characters are those of an `error_description` (RFC 6749 section 4.1.2.1).
"""

from __future__ import annotations

import re

GUEST = "The account is of another organization. Sign in with an account of this one, or ask to be invited as a guest."
SECOND_FACTOR = "The organization wants a second factor. Sign in again, and set one up when Microsoft asks for it."
DEVICE = "The organization admits managed devices alone. Sign in from one, or ask its administrator."
AGAIN = "Sign in again."

WORDS = {
    16000: GUEST,
    50020: GUEST,
    50034: GUEST,
    51004: GUEST,
    90072: GUEST,
    50058: AGAIN,
    50076: SECOND_FACTOR,
    50079: SECOND_FACTOR,
    50105: "The account is not assigned to this application. Ask its owner to assign it.",
    50126: "User name or password is wrong. Sign in again.",
    50173: AGAIN,
    53000: DEVICE,
    530003: DEVICE,
    53003: "A policy of the organization blocks this sign-in. Ask its administrator, who finds it in the sign-in log.",
    65001: "Nobody consented to the permissions. Sign in again and accept them, or ask an administrator to consent.",
    65004: "The permissions were declined. Sign in again and accept them.",
    70043: AGAIN,
    90094: "An administrator has to consent to this application first. Ask for it, then sign in again.",
    7000112: "The application is disabled. Ask its owner.",
}
"""By the number (https://learn.microsoft.com/entra/identity-platform/reference-error-codes)."""


def error_number(text: str) -> int | None:
    """Returns Entra ID's own number for an error; the text around it may hold names and is not for anybody else."""
    found = re.search(r"AADSTS(\d{4,8})\b", text)
    return int(found[1]) if found else None


def described_refusal(text: str) -> str:
    """Returns the description of a sign-in that Entra ID refused, for what Entra ID said.

    Nothing of the text is taken over but the number: `Microsoft did not sign the person in (AADSTS50105). ...`
    """
    number = error_number(text)
    if number is None:
        return "Microsoft did not sign the person in (without a code)."
    return f"Microsoft did not sign the person in (AADSTS{number}). {WORDS.get(number, '')}".rstrip()
