"""What people read when Entra ID did not sign them in."""

from __future__ import annotations

import re

import pytest

from entra_mcp.auth.entra.refusals import WORDS, described_refusal
from ops.aadsts import AADSTS


@pytest.mark.parametrize("number", WORDS)
def test_words_are_short_and_of_the_characters_of_the_specification(number: int) -> None:
    told = described_refusal(f'AADSTS{number}: User account "ada" from x.example')
    assert told == f"Microsoft did not sign the person in (AADSTS{number}). {WORDS[number]}"
    assert re.fullmatch(r"[\x20\x21\x23-\x5b\x5d-\x7e]{1,200}", told)


def test_every_number_with_words_has_a_page_for_the_owner() -> None:
    assert WORDS.keys() <= AADSTS.keys()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("AADSTS999999: what", "Microsoft did not sign the person in (AADSTS999999)."),
        ("Call 0800-1", "Microsoft did not sign the person in (without a code)."),
        ("", "Microsoft did not sign the person in (without a code)."),
    ],
)
def test_what_is_unknown_is_told_without_the_text(text: str, told: str) -> None:
    assert described_refusal(text) == told
