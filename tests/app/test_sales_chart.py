"""The chart in a browser: drawn in a frame that may only run scripts, by a client that keeps to MCP Apps (SEP-1865)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fastmcp import Client
from playwright.async_api import async_playwright

from app.resources.sales_chart import sales_chart
from app.samples.reports import CHART
from local.setup.chromium import Machine

if TYPE_CHECKING:
    from fastmcp import FastMCP

CLIENT = """([html, result]) => new Promise(resize => {
    const frame = Object.assign(document.createElement("iframe"), { sandbox: "allow-scripts", srcdoc: html })
    const tell = message => frame.contentWindow.postMessage({ jsonrpc: "2.0", ...message }, "*")
    addEventListener("message", ({ data }) => {
        if (data.method === "ui/initialize") tell({ id: data.id, result: { protocolVersion: "2026-01-26" } })
        if (data.method === "ui/notifications/initialized")
            tell({ method: "ui/notifications/tool-result", params: result })
        if (data.method === "ui/notifications/size-changed") resize(data.params.height)
    })
    document.body.append(frame)
})"""


async def test_chart_is_offered_with_the_export(server: FastMCP) -> None:
    async with Client(server) as client:
        (tool,) = (each for each in await client.list_tools() if each.name == "export_report")
        (content,) = await client.read_resource(CHART)
    assert (tool.meta or {})["ui"] == {"resourceUri": CHART}
    assert content.mime_type == "text/html;profile=mcp-app"


@pytest.mark.parametrize(
    ("result", "heading", "bars"),
    [
        ({"structuredContent": {"sold": [*range(12)]}}, "66 units sold, by month", [*"JFMAMJJASOND"]),
        ({"content": [{"type": "text", "text": "<b>No</b>"}]}, "<b>No</b>", []),
    ],
)
async def test_chart_has_a_bar_for_each_month_or_says_why_not(result: object, heading: str, bars: list[str]) -> None:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=Machine().find(), args=["--no-sandbox"])
        page = await browser.new_page()
        height = await page.evaluate(CLIENT, [sales_chart(), result])
        chart = page.frame_locator("iframe")
        assert await chart.locator("h1").text_content() == heading
        assert await chart.locator("li").all_inner_texts() == bars
        await browser.close()
    assert 30 < height < 300
