"""The chart in a browser: drawn in a frame that may only run scripts, by a client that keeps to MCP Apps (SEP-1865)."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    assert tool.meta is not None
    assert tool.meta["ui"] == {"resourceUri": CHART}
    assert content.mime_type == "text/html;profile=mcp-app"


async def test_chart_has_a_bar_for_each_month() -> None:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=Machine().find(), args=["--no-sandbox"])
        page = await browser.new_page()
        height = await page.evaluate(CLIENT, [sales_chart(), {"structuredContent": {"sold": [*range(12)]}}])
        chart = page.frame_locator("iframe")
        assert await chart.locator("h1").text_content() == "66 units sold, by month"
        assert await chart.locator("li").all_inner_texts() == [*"JFMAMJJASOND"]
        await browser.close()
    assert 100 < height < 300
