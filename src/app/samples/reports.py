"""An invented report: what `export_report` exports and what its link leads to, the same on every instance.

The address of a report says all that it is made from, so any instance can make it again. A report that cannot be made
again belongs in a store that all instances share, under a name that nobody can guess.
"""

from __future__ import annotations

import csv
import hashlib
import io
from datetime import date, timedelta
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from collections.abc import Iterator

Region = Literal["africa", "americas", "asia", "europe", "oceania"]
REGIONS: tuple[Region, ...] = get_args(Region)

FIRST_YEAR, LAST_YEAR = 2000, 2099
URI = "report://orders/{year}/{region}"
MIME_TYPE = "text/csv"
CHART = "ui://reports/sales"

COLUMNS = ("order", "day", "product", "units", "price")
PRODUCTS = ("anvil", "bicycle", "compass", "drum")
ORDERS_A_DAY = 40


def report_uri(year: int, region: Region) -> str:
    """The address under which the server offers the report as a resource."""
    return URI.format(year=year, region=region)


def report_months(year: int, region: Region) -> Iterator[str]:
    """The report as CSV (RFC 4180), a month at a time, the first with the header; about 700 KB together."""
    first = True
    for month in range(1, 13):
        text = io.StringIO()
        sheet = csv.writer(text)
        if first:
            sheet.writerow(COLUMNS)
            first = False
        day = date(year, month, 1)
        while day.month == month:
            sheet.writerows(_orders(day, region))
            day += timedelta(days=1)
        yield text.getvalue()


def units_sold(month: str) -> int:
    """The units of a month's text, with or without the header."""
    return sum(int(row[3]) for row in csv.reader(io.StringIO(month)) if row[3].isdecimal())


def _orders(day: date, region: Region) -> Iterator[tuple[str, str, str, int, str]]:
    noise = hashlib.shake_128(f"{region} {day}".encode()).digest(ORDERS_A_DAY * 3)
    for number in range(ORDERS_A_DAY):
        product, units, cents = noise[number * 3 : number * 3 + 3]
        yield (
            f"{region[:2].upper()}-{day:%Y%m%d}-{number:03}",
            day.isoformat(),
            PRODUCTS[product % len(PRODUCTS)],
            1 + units % 9,
            f"{10 + cents % 90}.{cents % 100:02}",
        )
