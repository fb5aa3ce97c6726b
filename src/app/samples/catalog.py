"""A database that is opened once for each process and asked without holding up other calls.

It is SQLite in memory, filled when it is opened: every instance has a copy of its own, and nothing writes to it. What a
tool writes has to be in a database that all instances share; docs/tools.md shows PostgreSQL in its place.
"""

from __future__ import annotations

import asyncio
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from pydantic import BaseModel

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

SCHEMA = """
CREATE TABLE products (number INTEGER PRIMARY KEY, name TEXT NOT NULL, price REAL NOT NULL, stock INTEGER NOT NULL);
INSERT INTO products VALUES
    (1, 'Desk lamp', 39.9, 12), (2, 'Desk chair', 149.0, 4), (3, 'Standing desk', 499.0, 0),
    (4, 'Bookshelf', 89.0, 7), (5, 'Notebook, 100% recycled paper', 4.5, 120);
"""
FIND = """
SELECT number, name, price, stock FROM products WHERE instr(lower(name), lower(?)) > 0 ORDER BY number LIMIT ?
"""


class Product(BaseModel):
    """A product of the catalog."""

    number: int
    name: str
    price: float
    stock: int


class Catalog:
    """The connection of a process, which belongs to one thread: sqlite3 waits without `await`."""

    def __init__(self, connection: sqlite3.Connection, *, thread: ThreadPoolExecutor) -> None:
        self._connection = connection
        self._thread = thread

    async def find(self, text: str, *, limit: int) -> list[Product]:
        """The products whose name holds the text, the lowest numbers first."""
        loop = asyncio.get_running_loop()
        rows = await loop.run_in_executor(self._thread, self._rows, text, limit)
        return [Product(number=number, name=name, price=price, stock=stock) for number, name, price, stock in rows]

    def _rows(self, text: str, limit: int) -> list[tuple[int, str, float, int]]:
        return self._connection.execute(FIND, (text, limit)).fetchall()


@asynccontextmanager
async def open_catalog() -> AsyncGenerator[Catalog]:
    """Yields the database with its products, and closes it."""
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="catalog") as thread:
        connection = await loop.run_in_executor(thread, _filled)
        try:
            yield Catalog(connection, thread=thread)
        finally:
            await loop.run_in_executor(thread, connection.close)


def _filled() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    connection.executescript(SCHEMA)
    return connection
