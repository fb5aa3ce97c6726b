"""A database that the process opened: its searches, at once and cancelled, and its end."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from app.samples.catalog import open_catalog
from tests.support.instances import call
from tests.support.mcp import refusal, structured

if TYPE_CHECKING:
    from tests.support.instances import SignedIn


async def test_find_product_finds_by_a_part_of_the_name(signed_in: SignedIn) -> None:
    async with signed_in() as http:
        found = structured(await call(http, "find_product", text="DESK", limit=2))["result"]
        assert len(structured(await call(http, "find_product"))["result"]) == 5
    assert [product["name"] for product in found] == ["Desk lamp", "Desk chair"]


@pytest.mark.parametrize(("text", "count"), [("%", 1), ("_", 0), ("'; DROP TABLE products; --", 0), ("\x00", 0)])
async def test_text_means_itself_and_no_pattern_or_statement(text: str, count: int) -> None:
    async with open_catalog() as catalog:
        assert len(await catalog.find(text, limit=50)) == count
        assert len(await catalog.find("", limit=50)) == 5


@pytest.mark.parametrize("arguments", [{"limit": 0}, {"limit": 51}, {"text": "x" * 101}], ids=str)
async def test_find_product_refuses_what_is_out_of_bounds(signed_in: SignedIn, arguments: dict[str, Any]) -> None:
    async with signed_in() as http:
        assert "validation error" in refusal(await call(http, "find_product", **arguments))


async def test_searches_at_once_all_come_back_though_some_are_cancelled() -> None:
    async with open_catalog() as catalog:
        searches = [asyncio.create_task(catalog.find("desk", limit=50)) for _ in range(50)]
        await asyncio.sleep(0)
        for search in searches[::2]:
            search.cancel()
        results = await asyncio.gather(*searches, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in results[::2])
    assert all(isinstance(result, list) and len(result) == 3 for result in results[1::2])
    assert not any(thread.name.startswith("catalog") for thread in threading.enumerate())
