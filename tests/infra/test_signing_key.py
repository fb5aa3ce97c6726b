"""The server takes the signing key that the template creates, and refuses the placeholder, which the tools know."""

from __future__ import annotations

import re
from base64 import b64decode
from uuid import uuid4

from entra_mcp.vault.client import CLIENT_SECRET, MIN_DIFFERENT_BYTES, MIN_SECRET_CHARACTERS, SIGNING_KEY
from entra_mcp.vault.keys import KEY_BYTES
from ops.vault import PLACEHOLDER
from tests.infra.template import INFRA, Template

VAULT = Template(INFRA / "modules" / "vault.bicep")


def made_key() -> str:
    """Does what the template's expression does."""
    expression = VAULT.value("var", "signingKey") or ""
    match = re.fullmatch(
        r"'\$\{take\(replace\('\$\{firstRandom\}\$\{secondRandom\}', '-', ''\), (\d+)\)\}([^']*)'", expression
    )
    assert match is not None
    return f"{uuid4()}{uuid4()}".replace("-", "")[: int(match[1])] + match[2]


def test_key_is_what_the_server_takes() -> None:
    for _ in range(1000):
        material = b64decode(made_key(), validate=True)
        assert len(material) == KEY_BYTES
        assert len(set(material)) >= MIN_DIFFERENT_BYTES


def test_secrets_have_the_names_that_the_server_reads() -> None:
    source = VAULT.source
    assert re.findall(r"^  name: '(\S+)'$", source, re.MULTILINE) == [SIGNING_KEY, CLIENT_SECRET]


def test_placeholder_of_the_client_secret_is_refused_by_the_server() -> None:
    placeholder = re.search(r"value: '([^']*)'", VAULT.of("resource")["clientSecretSecret"].text)
    assert placeholder is not None
    assert " " in placeholder[1]
    assert len(placeholder[1]) < MIN_SECRET_CHARACTERS


def test_tools_know_the_placeholder_by_the_mark_that_the_template_gives_it() -> None:
    """Another mark, and the hook would take the placeholder for a client secret that a person brought."""
    marks = {
        name: re.findall(r"contentType: '([^']*)'", resource.text)
        for name, resource in VAULT.of("resource").items()
        if "vaults/secrets@" in resource.head
    }
    assert marks["clientSecretSecret"] == [PLACEHOLDER]
    assert marks["signingKeySecret"] != [PLACEHOLDER]
