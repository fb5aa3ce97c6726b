"""Another API, called with the caller's own token: its pages, and what to say of its errors."""

from __future__ import annotations

import logging

import httpx2
from fastmcp.exceptions import ToolError
from pydantic import BaseModel, Field

READ_ORDERS = "api://orders/Orders.Read"
"""The scope, behind the Application ID URI of the API."""

logger = logging.getLogger(__name__)


class Order(BaseModel):
    """An order, as the API has it."""

    id: str
    customer: str
    total: float
    status: str


class OrderPage(BaseModel):
    """Some orders, and where the next ones begin."""

    items: list[Order]
    next_cursor: str | None = Field(description="Give it to get the next page; absent at the end.")


class OrdersApi:
    """Reads orders; one for the process, so that its connections are shared. The token is that of each call."""

    def __init__(self, *, http: httpx2.AsyncClient) -> None:
        self._http = http

    async def page(self, token: str, *, limit: int, cursor: str | None) -> OrderPage:
        """A page of the caller's orders.

        Raises:
            ToolError: the API refused or did not answer; the message is meant for the client.
        """
        query = {"limit": str(limit), **({} if cursor is None else {"cursor": cursor})}
        try:
            response = await self._http.get("/orders", params=query, headers={"Authorization": f"Bearer {token}"})
        except httpx2.HTTPError as error:
            logger.warning("The orders API did not answer: %s", type(error).__name__)
            raise ToolError("The orders API did not answer. Try again in a moment.") from error
        if not response.is_success:
            logger.warning("The orders API answered %d.", response.status_code)
            raise ToolError(_what_to_do(response))
        return OrderPage.model_validate_json(response.content)


def _what_to_do(response: httpx2.Response) -> str:
    """What the person can do about a refusal; its text is for developers, and stays unread."""
    match response.status_code:
        case 400:
            return "This cursor is not one of this list. Begin again without a cursor."
        case 401:
            return "The orders API did not accept your sign-in. Disconnect this server in your client, and connect it."
        case 403:
            return "You are not allowed to read orders. Ask whoever manages the orders API."
        case 404:
            return "The orders API has no list of orders. The server's owner has to check ORDERS_API_URL."
        case 429 | 503:
            seconds = response.headers.get("retry-after", "")
            wait = f"in {seconds} s" if seconds.isdecimal() else "in a moment"
            return f"The orders API is busy. Try again {wait}."
        case _:
            return "The orders API failed. Try again in a moment."
