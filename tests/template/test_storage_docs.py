"""docs/storage.md states what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from entra_mcp.auth.proxy_store import SIGNED
from entra_mcp.storage.encryption import HEADER_BYTES, MAX_PLAIN_BYTES, TAG_BYTES
from entra_mcp.storage.rows import CHUNK_BYTES, Address
from entra_mcp.storage.table import READ_SECONDS, WRITE_SECONDS

TEXT = (Path(__file__).parents[2] / "docs" / "storage.md").read_text("utf-8")
PARTITIONS = dict(re.findall(r"^\| `([\w-]+)` \| `([0-9a-f]{16})` \|$", TEXT, re.MULTILINE))


def test_partitions_of_every_collection_are_documented() -> None:
    assert len(PARTITIONS) == 5
    for collection, prefix in PARTITIONS.items():
        assert Address.of(collection, "any").partition.split(".")[0] == prefix


@pytest.mark.parametrize(
    "statement",
    [
        f"{MAX_PLAIN_BYTES:,} bytes as JSON",
        f"parts of {CHUNK_BYTES:,} bytes",
        f"{READ_SECONDS:.0f} s for reads, {WRITE_SECONDS:.0f} s for writes",
        f"adds {HEADER_BYTES + TAG_BYTES} bytes",
    ],
)
def test_numbers_are_those_of_the_code(statement: str) -> None:
    assert statement in TEXT


def test_collections_are_those_of_fastmcp() -> None:
    import fastmcp.server.auth.oauth_proxy.proxy as proxy

    source = Path(proxy.__file__).read_text("utf-8")
    found = set(re.findall(r'default_collection="(mcp-[\w-]+)"', source))
    assert found == set(PARTITIONS) - {"fastmcp_state"} | SIGNED
    assert all(f"`{collection}`" in TEXT for collection in SIGNED)
