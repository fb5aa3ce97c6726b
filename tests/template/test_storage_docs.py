"""docs/storage.md states what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fastmcp.server import server
from fastmcp.server.auth.oauth_proxy import proxy

from entra_mcp.auth.proxy_store import SIGNED
from entra_mcp.ownership import OWNED
from entra_mcp.storage.encryption import HEADER_BYTES, MAX_PLAIN_BYTES, TAG_BYTES
from entra_mcp.storage.rows import CHUNK_BYTES, Address
from entra_mcp.storage.table import READ_SECONDS, WRITE_SECONDS
from entra_mcp.tasks.queue import POISON_QUEUE
from entra_mcp.tasks.rows import MESSAGES, RESULTS, TASKS

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "entra_mcp"
TEXT = (ROOT / "docs" / "storage.md").read_text("utf-8")
PARTITIONS = dict(re.findall(r"^\| `([\w-]+)` \| `([0-9a-f]{16})` \|$", TEXT, re.MULTILINE))


def collections() -> set[str]:
    """Those that have rows: FastMCP's, by the stores it asks for, and the engine's own, by their names."""
    fastmcp = "".join(Path(module.__file__ or "").read_text("utf-8") for module in (proxy, server))
    engine = "".join(path.read_text("utf-8") for path in SOURCE.rglob("*.py"))
    found = {
        *re.findall(r'default_collection="([\w-]+)"', fastmcp),
        *re.findall(r'^[A-Z_]+ = "(mcp-[\w-]+)"', engine, re.MULTILINE),
    }
    return found - SIGNED - {MESSAGES, POISON_QUEUE}


def test_partitions_of_every_collection_are_documented() -> None:
    assert set(PARTITIONS) == collections()
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


def test_every_collection_is_described() -> None:
    described = set(re.findall(r"^\| `([\w-]+)`", TEXT.partition("### Who reads")[0], re.MULTILINE))
    assert collections() | SIGNED <= described
    assert set(OWNED) | {TASKS, RESULTS} <= set(re.findall(r"`([\w-]+)`", TEXT.partition("## Signing a person out")[2]))


def test_every_property_of_a_row_is_described() -> None:
    source = "".join((SOURCE / module).read_text("utf-8") for module in ("storage/rows.py", "tasks/rows.py"))
    written = set(re.findall(r'"([A-Z])"[\]:]', source))
    assert written == set(re.findall(r"^\| `([A-Z])` \|", TEXT, re.MULTILINE))
